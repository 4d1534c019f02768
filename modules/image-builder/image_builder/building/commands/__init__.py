"""Images whose layers run commands: buildah in a user namespace of its own, bounded and without a network.

`sandbox` starts programs so that all of them end with one, `watch` keeps them within their limits;
`stores` has the bases as buildah wants them, `context` the files; `build` runs it, and `export_layer`
writes what the commands have changed as one layer, so that configuration, manifest and push are those
of an assembled image.
"""

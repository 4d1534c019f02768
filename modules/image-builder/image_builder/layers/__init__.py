"""What an image is made of: layers as they come in a request, checked, and written as a Dockerfile.

`fields` says which texts a layer may hold, `models` and `mounts` are the layers, `request` is a whole
order, `dockerfile` writes it for a builder, `image` is the library in which each layer is one call.
"""

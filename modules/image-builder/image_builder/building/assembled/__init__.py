"""Images made without running anything.

`nodes` is what a file system holds, `tree` what a base has and what layers of the request put on top,
`layer` writes that as one layer; `sources` are the files that are copied, `archives` those that are
unpacked; `settings_of` applies what changes the configuration; `assemble` puts it all together.
"""

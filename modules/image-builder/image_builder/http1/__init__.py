"""A small HTTP/1.1 client for registries, on asyncio and the parser of httptools.

General clients take longer to load than a run with nothing to do lasts, and spend most of the
processor's time of a run with many small requests. This one does what registries need: connections
that are kept, bodies that stream both ways, proxies, and no patience with a peer that trickles.
"""

"""Doubles around real registries: what networks, limits and other products do to a client.

A `Proxy` stands before a real registry on loopback; its rules decide about every request, and its
recording says what was asked. `python -m registry_doubles --help` runs one in a process of its own.
"""

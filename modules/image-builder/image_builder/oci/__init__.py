"""An asynchronous client of OCI registries: references, transport, and copies that keep their digest.

The parts, from the bottom up: `reference`, `digest` and `manifests` are values; `endpoints`,
`credentials` and `retry` say how a registry is reached; `transport` sends requests; `registry` has
the verbs of one repository; `copy` brings whole images from one registry to another.
"""

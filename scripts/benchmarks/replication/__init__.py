"""Replication side by side with skopeo and crane: `./scripts/bench replication`.

Every part puts real registries on loopback, the same for everybody, and runs whole commands, start-up
included. Contenders take turns within a round, so that a slow minute of the machine hits all of them.
"""

"""Code that several modules of this collection need.

`dockerimage-replication` owns it; `scripts/sync-shared` copies it into the other modules, because
SeedFarmer ships each module alone. Imports in here are relative for that reason, and a test proves
that the copies are equal.
"""

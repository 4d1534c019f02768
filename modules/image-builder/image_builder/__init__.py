"""The SeedFarmer module image-builder."""

"""The SeedFarmer module kvdi-desktops."""

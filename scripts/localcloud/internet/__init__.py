"""A public internet in a box: a source registry and chart repositories on loopback."""

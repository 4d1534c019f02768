"""Tests of layers and of what is written of them."""

"""Tests of building images, against a real registry."""

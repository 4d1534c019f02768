"""Tests of what runs in the image: `image/dcv_server`, `image/bin`."""

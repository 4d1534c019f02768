"""Replicates the container images and charts of a cluster into private registries."""

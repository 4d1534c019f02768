"""Builds kVDI's desktop images, publishes them to ECR, and writes the templates that launch them."""

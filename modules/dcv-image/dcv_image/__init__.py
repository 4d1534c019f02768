"""Builds the Amazon DCV session image and publishes it to ECR."""

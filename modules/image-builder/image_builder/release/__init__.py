"""What the deployspec runs: the service's image and chart published, and released again on destroy."""

"""A real Kubernetes API server for one test run, on 127.0.0.1."""

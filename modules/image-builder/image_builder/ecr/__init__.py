"""Amazon ECR as the service's registry: logins by the pod's role, and repositories made on demand."""

"""Who may use the service, and the registries' credentials that it keeps."""

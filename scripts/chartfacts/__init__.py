"""Facts of Helm charts: small files that stand in for the charts when the data files are tested."""

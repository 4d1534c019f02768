"""A cloud on one machine: everything that `./scripts/local` starts."""

"""`./scripts/test`: static checks and every test of the collection, with their set-up."""

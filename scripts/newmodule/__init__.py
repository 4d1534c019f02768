"""Makes a module that already deploys, tests and documents itself (`scripts/new-module`)."""

"""The proof: the charts are rendered with the inventory's values, and may name private images only."""

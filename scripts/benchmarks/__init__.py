"""`./scripts/bench`: measurements side by side with peers in one run.

A benchmark is a file in this package whose function `measure(runs)` returns results; `__main__.py` has
the list. Machines differ and are noisy, so figures are medians, and claims about speed are ratios
against a peer in the same run.
"""

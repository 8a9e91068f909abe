"""Functions for Python: what commands do, without a config."""

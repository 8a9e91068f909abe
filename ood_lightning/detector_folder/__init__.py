"""A detector as a folder that one can carry away: written by one run, read by `predict` and by Python."""

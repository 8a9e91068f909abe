"""NegFilter: which negatives a judge takes out."""

"""Tables and pictures from stored rows only: no model, no GPU."""

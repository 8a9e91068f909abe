"""Frozen image-text towers behind one protocol."""

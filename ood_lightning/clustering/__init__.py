"""TEMI's networks and the pairs they learn from."""

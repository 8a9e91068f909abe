"""Ways to make a label set, and a label set made ready for detectors."""

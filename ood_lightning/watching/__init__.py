"""Whether new images are still like those that a detector was calibrated on: evidence over time, and what changed."""

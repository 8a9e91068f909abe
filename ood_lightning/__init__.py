"""Zero-shot and label-free out-of-distribution detection with CLIP."""

__version__ = "0.1.0"

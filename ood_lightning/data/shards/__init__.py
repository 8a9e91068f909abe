"""Sets of images as tar shards: their manifests, and the reader that gives every image once."""

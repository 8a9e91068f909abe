"""From a person's pictures to a detector with a threshold, step by step; `run` is these steps in a row."""

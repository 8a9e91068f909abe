"""Speed, as a ratio against a plain reference on the same inputs in the same run."""

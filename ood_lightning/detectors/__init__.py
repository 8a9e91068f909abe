"""One file per detector; a detector turns features and labels into one score per image."""

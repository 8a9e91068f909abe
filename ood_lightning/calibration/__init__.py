"""From scores of held-out ID images to a threshold with a guarantee."""

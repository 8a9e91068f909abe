"""From scores of held-out ID images to a threshold, and what may be promised of it."""

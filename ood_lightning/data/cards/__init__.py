"""Cards of published sets: what they hold, where they come from, how they are packed."""

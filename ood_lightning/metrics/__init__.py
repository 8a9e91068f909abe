"""From raw scores to rows of results: scores gathered over ranks, one row per detector and OOD set, metrics by name."""

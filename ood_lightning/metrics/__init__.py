"""From raw scores to rows of results: one bag that gathers over ranks, one row per detector and OOD set."""

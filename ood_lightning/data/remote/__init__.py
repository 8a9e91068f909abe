"""Shards that lie elsewhere, fetched while others are read."""

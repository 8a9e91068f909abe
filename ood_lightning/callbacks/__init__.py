"""One writer per artifact."""

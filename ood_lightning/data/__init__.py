"""What lies on disk, one file per artifact; no model in sight."""

"""What the papers state, as functions of tensors: torch and the standard library, no I/O, no device moves, no seeds."""

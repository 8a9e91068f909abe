"""Many runs at once: sweeps, from a file of lines or a grid to curves."""

"""What this machine offers to the package, and what it lacks: the lines of `doctor`."""

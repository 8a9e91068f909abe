"""Commands. Heavy imports happen inside functions, so that `--help` is instant."""

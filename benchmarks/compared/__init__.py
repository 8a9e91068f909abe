"""Rows of the table of benchmarks, a file for each subject with a function ``rows(small)``."""

"""Rows of results that are written as they are made, in a file that a later process goes on with."""

"""A web server that breaks, and a client that does not wait long."""

from impatient import impatient, server

__all__ = ["impatient", "server"]

"""Garbage collection for the CNCF distribution registry that is safe while people push."""

__version__ = "5.0.0"

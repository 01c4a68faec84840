"""Garbage collection for the CNCF distribution registry that is safe while people push."""

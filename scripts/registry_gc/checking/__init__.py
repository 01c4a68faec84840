"""Checking a store, and writing anew what is known; a collection needs none of it."""

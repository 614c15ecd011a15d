"""Starts and ends sandboxes. Uses only the standard library."""

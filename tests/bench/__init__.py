"""Measurements with a queue of the size that is promised."""

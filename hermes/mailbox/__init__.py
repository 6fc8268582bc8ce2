"""Maildirs: delivery into them, reading from them, quota."""

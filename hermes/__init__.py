"""Hermes: a complete mail server for an organisation, in one process on Twisted."""

__version__ = "0.1.0"

"""The hermes command."""

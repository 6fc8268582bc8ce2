"""What several parts of Hermes do with files, and none of them alone."""

"""One module per protocol service, named for what it does."""

"""Who has an account, which addresses exist, whose password is right."""

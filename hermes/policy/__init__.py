"""The decisions at each stage of an SMTP transaction."""

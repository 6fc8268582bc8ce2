"""SMTP, submission and LMTP on the wire (RFC 5321, 6409, 2033)."""

"""POP3 on the wire (RFC 1939, 2449, 5034, 6856)."""

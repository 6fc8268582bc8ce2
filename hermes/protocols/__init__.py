"""Sans-IO engines: bytes in, events out, answers as bytes."""

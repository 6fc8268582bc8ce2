"""A certificate for the servers that are measured with TLS."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hermes.config.site import self_signed


def make(directory: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key; their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, private = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(
        self_signed(key, ("bench.example.org",), demo=True).public_bytes(serialization.Encoding.PEM)
    )
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private

"""The server's own secret."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.secret import SECRET_OCTETS, kept_secret


class SecretTests(SynchronousTestCase):
    """:func:`kept_secret`."""

    def setUp(self) -> None:
        """A directory for it."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = directory / "secret"

    def test_kept(self) -> None:
        """It is made once, for the server's user alone, and is the same from then on."""
        first = kept_secret(str(self.path))
        self.assertEqual(len(first), SECRET_OCTETS)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(kept_secret(str(self.path)), first)

    def test_never_the_same(self) -> None:
        """Two servers have two."""
        first = kept_secret(str(self.path))
        self.path.unlink()
        self.assertNotEqual(kept_secret(str(self.path)), first)

    def test_not_whole(self) -> None:
        """A file of another size is no secret of ours, and is replaced."""
        for octets in (b"", b"x" * (SECRET_OCTETS - 1), b"x" * (SECRET_OCTETS + 1)):
            self.path.write_bytes(octets)
            self.assertEqual(len(kept_secret(str(self.path))), SECRET_OCTETS)
            self.assertEqual(self.path.read_bytes(), kept_secret(str(self.path)))
        self.path.write_bytes(b"x" * SECRET_OCTETS)
        self.assertEqual(kept_secret(str(self.path)), b"x" * SECRET_OCTETS)

    def test_no_place_for_it(self) -> None:
        """Where it cannot be kept the server does not start."""
        self.assertRaises(OSError, kept_secret, str(self.path / "below" / "secret"))

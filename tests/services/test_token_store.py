"""Tokens on disk: encrypted, whole, and changed by two programs at once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.services.token_store import MAX_FILE_OCTETS, Record, TokenStore, TokenStoreError, new_serial

RECORD = Record("one", "acc3ss-t0ken", "refr3sh-t0ken", 1.0, 2.5, 3.0, "err\u00f6r", 4.0, True)


class TokenStoreTests(SynchronousTestCase):
    """A store in a directory of its own."""

    def setUp(self) -> None:
        """Nothing is there yet."""
        self.data = Path(self.mktemp())
        self.data.mkdir()
        self.key = self.data / "oauth.key"
        self.store = TokenStore(str(self.data / "oauth"), str(self.key))

    def test_kept(self) -> None:
        """What is written is read, by another program too; where nothing was written there is nothing."""
        self.assertIsNone(self.store.read("office"))
        self.assertIsNone(self.store.stamp("office"))
        self.assertFalse(self.key.exists())
        self.store.write("office", RECORD)
        self.assertEqual(TokenStore(str(self.data / "oauth"), str(self.key)).read("office"), RECORD)
        self.assertIsNone(self.store.read("other"))

    def test_encrypted(self) -> None:
        """Neither token stands in any file, two writings of the same differ, and only the owner may read them."""
        seen = []
        for _ in range(2):
            self.store.write("office", RECORD)
            octets = (self.data / "oauth" / "office.token").read_bytes()
            self.assertNotIn(b"t0ken", octets)
            seen.append(octets)
        self.assertNotEqual(*seen)
        for path in (self.key, self.data / "oauth" / "office.token"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE((self.data / "oauth").stat().st_mode), 0o700)

    def test_not_to_be_read(self) -> None:
        """A damaged file, another key, or the file of another client: said with the remedy, and nothing is lost."""
        self.store.write("office", RECORD)
        path = self.data / "oauth" / "office.token"
        good = path.read_bytes()
        for bad in (
            b"",
            good[:-1],
            good[:20] + b"x" + good[21:],
            b"x" + good[1:],
            good + b"x",
            b"x" * (MAX_FILE_OCTETS + 1),
        ):
            path.write_bytes(bad)
            error = self.assertRaises(TokenStoreError, self.store.read, "office")
            self.assertIn("hermes oauth login office", str(error))
        (self.data / "oauth" / "other.token").write_bytes(good)
        self.assertRaises(TokenStoreError, self.store.read, "other")
        path.write_bytes(good)
        key = self.key.read_bytes()
        self.key.write_bytes(bytes(32))
        self.assertRaises(TokenStoreError, self.store.read, "office")
        self.key.write_bytes(key[:-1])
        self.assertIn("damaged", str(self.assertRaises(TokenStoreError, self.store.write, "office", RECORD)))
        self.key.write_bytes(key)
        self.assertEqual(self.store.read("office"), RECORD)

    def test_change(self) -> None:
        """A change is made to the login that it is meant for: a newer one, or none, stays as it is."""

        def change(record: Record) -> Record:
            return attrs.evolve(record, error="changed")

        self.assertIsNone(self.store.update("office", "one", change))
        self.store.write("office", RECORD)
        self.assertEqual(self.store.update("office", "one", change), attrs.evolve(RECORD, error="changed"))
        newer = attrs.evolve(RECORD, serial="two")
        self.store.write("office", newer)
        self.assertEqual(self.store.update("office", "one", change), newer)
        self.assertEqual(self.store.read("office"), newer)

    def test_stamp(self) -> None:
        """Each writing has a stamp of its own."""
        stamps = set()
        for _ in range(5):
            self.store.write("office", RECORD)
            stamps.add(self.store.stamp("office"))
        self.assertEqual(len(stamps), 5)

    def test_removed(self) -> None:
        """What is thrown away is gone, once."""
        self.store.write("office", RECORD)
        self.assertTrue(self.store.remove("office"))
        self.assertFalse(self.store.remove("office"))
        self.assertIsNone(self.store.read("office"))
        self.assertEqual(os.listdir(self.data / "oauth"), [])

    def test_not_shown(self) -> None:
        """A record in a log or a traceback does not show the tokens."""
        self.assertNotIn("t0ken", repr(RECORD))

    def test_serials(self) -> None:
        """No two logins have the same."""
        self.assertEqual(len({new_serial() for _ in range(100)}), 100)

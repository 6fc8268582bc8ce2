"""What accounts were called before."""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.former_names import MAX_NAMES, FormerNames


class FormerNamesTests(SynchronousTestCase):
    """FormerNames."""

    def setUp(self) -> None:
        """A file that is not there yet."""
        self.path = os.path.abspath(self.mktemp())
        self.names = FormerNames(self.path, 0.0)

    def of(self, name: str, since: float = 0.0) -> list[tuple[str, float]]:
        """As another command reads them."""
        return list(FormerNames(self.path, since).of(name))

    def test_none(self) -> None:
        """Nobody was called otherwise; to forget that makes no file."""
        self.assertEqual(self.of("bob"), [])
        self.names.forget("bob")
        self.assertFalse(os.path.exists(self.path))

    def test_renamed(self) -> None:
        """From one name to the next; said again after an interruption it is one, and only its owner reads the file."""
        self.names.rename("bob", "rob", 5.0)
        self.names.rename("bob", "rob", 6.0)
        self.names.rename("rob", "robert", 7.0)
        self.assertEqual(self.of("robert"), [("bob", 6.0), ("rob", 7.0)])
        self.assertEqual((self.of("bob"), self.of("rob")), ([], []))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_there_and_back(self) -> None:
        """The name that it has is no former one."""
        self.names.rename("bob", "rob", 5.0)
        self.names.rename("rob", "bob", 6.0)
        self.assertEqual(self.of("bob"), [("rob", 6.0)])

    def test_forgotten(self) -> None:
        """With the account, or when the trace knows nothing of the time any more."""
        self.names.rename("bob", "rob", 5.0)
        self.names.rename("ann", "anna", 6.0)
        self.assertEqual((self.of("rob", 5.0), self.of("rob", 5.1)), ([("bob", 5.0)], []))
        self.names.forget("rob")
        self.assertEqual((self.of("rob"), self.of("anna")), ([], [("ann", 6.0)]))

    def test_many(self) -> None:
        """The oldest go first."""
        for number in range(MAX_NAMES + 1):
            self.names.rename(f"n{number}", f"n{number + 1}", float(number))
            self.assertEqual(len(self.of(f"n{number + 1}")), min(number + 1, MAX_NAMES))
        self.assertEqual(self.of(f"n{MAX_NAMES + 1}")[0], ("n1", 1.0))

    def test_damaged(self) -> None:
        """A file that is none of ours is named, with the remedy."""
        for octets in (b"", b"[]", b'{"bob": [1]}', b'{"bob": [["rob", "x"]]}', b"\xff"):
            with open(self.path, "wb") as file:
                file.write(octets)
            error = self.assertRaises(ValueError, self.names.of, "bob")
            self.assertIn(f"{self.path} is damaged: remove it", str(error))

    def test_unreadable(self) -> None:
        """What cannot be read or written is named, with the system's reason."""
        os.mkdir(self.path)
        self.assertIn("cannot be read", str(self.assertRaises(ValueError, self.names.of, "bob")))
        nowhere = FormerNames(os.path.join(self.mktemp(), "x"), 0.0)
        self.assertIn("cannot be written", str(self.assertRaises(ValueError, nowhere.rename, "bob", "rob", 1.0)))

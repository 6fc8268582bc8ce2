"""Which names and addresses were whose, and when."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.period import Period
from hermes.directory import former_names
from hermes.directory.former_names import MAX_NAMES, FormerNames

DOMAIN = "example.org"


def implied(*names: str) -> list[str]:
    """The addresses of accounts that list none."""
    return [f"{name}@{DOMAIN}" for name in names]


class FormerNamesTests(SynchronousTestCase):
    """FormerNames."""

    def setUp(self) -> None:
        """A file that is not there yet."""
        self.path = os.path.abspath(self.mktemp())
        self.names = FormerNames(self.path, 0.0)

    def of(self, name: str, since: float = 0.0) -> list[tuple[str, float, float]]:
        """The names alone, as another command reads them."""
        found = FormerNames(self.path, since).of(name, (), ())
        return [(each.name, each.since, each.until) for each in found]

    def rename(self, name: str, new_name: str, now: float) -> None:
        """An account without addresses of its own gets another name."""
        self.names.rename(name, new_name, implied(name, new_name), now)

    def test_none(self) -> None:
        """Of whom nothing is known all is that account's own, and to ask makes no file."""
        periods = self.names.of("bob", implied("bob"), [DOMAIN])
        self.assertEqual(periods, [Period("bob"), Period("bob@example.org")])
        self.assertTrue(all(each.is_ever for each in periods))
        self.assertFalse(self.names.was_renamed("bob"))
        self.assertFalse(os.path.exists(self.path))

    def test_renamed(self) -> None:
        """From one name to the next; said again after an interruption it is one, and only its owner reads the file."""
        self.rename("bob", "rob", 5.0)
        self.rename("bob", "rob", 6.0)
        self.rename("rob", "robert", 7.0)
        self.assertEqual(self.of("robert"), [("bob", 0.0, 6.0), ("rob", 6.0, 7.0), ("robert", 7.0, math.inf)])
        self.assertEqual(self.of("bob"), [("bob", 6.0, math.inf)])
        self.assertEqual(self.of("rob"), [("rob", 7.0, math.inf)])
        self.assertEqual([self.names.was_renamed(each) for each in ("bob", "rob", "robert")], [False, False, True])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_there_and_back(self) -> None:
        """A name that was given up and came back has two times."""
        self.rename("bob", "rob", 5.0)
        self.rename("rob", "bob", 6.0)
        self.assertEqual(self.of("bob"), [("bob", 0.0, 5.0), ("rob", 5.0, 6.0), ("bob", 6.0, math.inf)])

    def test_addresses(self) -> None:
        """Those that a name implies go with it, in any case and at each domain; those that are listed stay."""
        self.names.hand_on("bob", ["Bob@Example.org"], 3.0)
        self.names.rename("bob", "rob", implied("bob", "rob"), 5.0)
        self.assertEqual(
            self.names.of("rob", ["rob@example.org", "sales@example.org"], [DOMAIN, "example.net"]),
            [
                Period("bob", 3.0, 5.0),
                Period("bob@example.org", 3.0, 5.0),
                Period("bob@example.net", 3.0, 5.0),
                Period("rob", 5.0),
                Period("rob@example.org", 5.0),
                Period("sales@example.org"),
            ],
        )
        self.names.hand_on("ann", ["sales@example.org"], 9.0)
        self.assertEqual(self.names.of("rob", ["SALES@example.org"], ())[-1], Period("SALES@example.org", 9.0))

    def test_address_that_came_later(self) -> None:
        """The address of a former name that somebody else had for a while, though not the name, begins when it was given up."""
        self.names.hand_on("ann", ["bob@example.org"], 2.0)
        self.names.rename("bob", "rob", [], 5.0)
        self.assertEqual(
            self.names.of("rob", (), [DOMAIN]),
            [Period("bob", 0.0, 5.0), Period("bob@example.org", 2.0, 5.0), Period("rob", 5.0)],
        )

    def test_handed_on(self) -> None:
        """With the account its former names go, and whoever gets the name has it from then on."""
        self.rename("bob", "rob", 5.0)
        self.names.hand_on("rob", implied("rob"), 7.0)
        self.assertEqual(self.of("rob"), [("rob", 7.0, math.inf)])
        self.rename("rob", "robert", 8.0)
        self.assertEqual(self.of("robert"), [("rob", 7.0, 8.0), ("robert", 8.0, math.inf)])

    def test_handed_on_by_hand(self) -> None:
        """What is known of an account that was removed without a command is no former name of another one of its name."""
        self.rename("bob", "rob", 5.0)
        self.names.hand_on("bob", (), 6.0)
        self.rename("bob", "rob", 7.0)
        self.assertEqual(self.of("rob"), [("bob", 6.0, 7.0), ("rob", 7.0, math.inf)])

    def test_forgotten(self) -> None:
        """When the trace knows nothing of the time any more."""
        self.rename("bob", "rob", 5.0)
        self.rename("ann", "anna", 6.0)
        self.assertEqual(self.of("rob", 5.0), [("bob", 0.0, 5.0), ("rob", 5.0, math.inf)])
        self.assertEqual(self.of("rob", 5.1), [("rob", 0.0, math.inf)])
        self.assertEqual(
            (self.of("bob", 5.0), self.of("bob", 5.1)), ([("bob", 5.0, math.inf)], [("bob", 0.0, math.inf)])
        )

    def test_many(self) -> None:
        """The oldest go first."""
        for number in range(MAX_NAMES + 1):
            self.rename(f"n{number}", f"n{number + 1}", float(number + 1))
            self.assertEqual(len(self.of(f"n{number + 1}")) - 1, min(number + 1, MAX_NAMES))
        self.assertEqual(self.of(f"n{MAX_NAMES + 1}")[0], ("n1", 1.0, 2.0))

    def test_many_handed_on(self) -> None:
        """Just below the limit, at it, and above it; what is handed on again is not the oldest any more."""
        self.patch(former_names, "MAX_HANDED_ON", 3)
        for number, name in enumerate(("a", "b", "a", "c", "d"), 1):
            self.names.hand_on(name, (), float(number))
            kept = json.loads(Path(self.path).read_text())["handed_on"]
            self.assertEqual(list(kept), [["a"], ["a", "b"], ["b", "a"], ["b", "a", "c"], ["a", "c", "d"]][number - 1])

    def test_damaged(self) -> None:
        """A file that is none of ours is named, with the remedy."""
        for octets in (
            b"",
            b"[]",
            b"{}",
            b'{"former": {}}',
            b'{"former": {"bob": [1]}, "handed_on": {}}',
            b'{"former": {"bob": [["rob", 0, "x"]]}, "handed_on": {}}',
            b'{"former": {}, "handed_on": {"bob": "x"}}',
            b"\xff",
        ):
            with open(self.path, "wb") as file:
                file.write(octets)
            error = self.assertRaises(ValueError, self.names.of, "bob", (), ())
            self.assertIn(f"{self.path} is damaged: remove it", str(error))

    def test_unreadable(self) -> None:
        """What cannot be read or written is named, with the system's reason."""
        os.mkdir(self.path)
        self.assertIn("cannot be read", str(self.assertRaises(ValueError, self.names.of, "bob", (), ())))
        nowhere = FormerNames(os.path.join(self.mktemp(), "x"), 0.0)
        self.assertIn("cannot be written", str(self.assertRaises(ValueError, nowhere.hand_on, "bob", (), 1.0)))

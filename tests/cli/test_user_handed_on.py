"""``hermes user export`` of a name that was somebody else's before: what the trace has of that person is not in it."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path

from hermes.core.event import Event, Kind
from tests.support.command import CommandTestCase, record


class HandedOnTests(CommandTestCase):
    """Names and addresses that belong to one account after another."""

    def setUp(self) -> None:
        """Bob is there."""
        self.config = self.site()
        self.archive = Path(self.config).parent / "export.tar.gz"
        self.hermes("add", "bob", "--generate")

    def hermes(self, command: str, *words: str, typed: str | None = None) -> str:
        """What ``hermes user`` prints."""
        return str(self.run_hermes("user", command, "-c", self.config, *words, typed=typed).output)

    def happens(self, of: str, *addresses: str) -> None:
        """Something happens now that is of somebody, at each of these names and addresses."""
        now = time.time()
        record(self, self.config, *(Event(now, Kind.REFUSED, address=each, facts={"of": of}) for each in addresses))

    def exported(self, name: str) -> list[tuple[str, str]]:
        """Whose facts an archive has, and about what; what the command says is in ``said``."""
        self.said = self.hermes("export", name, str(self.archive))
        with tarfile.open(self.archive) as tar:
            trace = (tar.extractfile(f"{name}/trace.jsonl") or self.fail()).read().decode().splitlines()
        self.archive.unlink()
        return [(each["of"], each["to"].strip("<>")) for each in map(json.loads, trace)]

    def test_after_another(self) -> None:
        """Whoever gets the name of an account that was removed or erased gets nothing of what happened to that one."""
        for end in (("remove",), ("erase", "--yes")):
            self.happens("the first", "bob", "bob@example.org")
            self.hermes(end[0], "bob", *end[1:])
            self.hermes("add", "bob", "--generate")
            self.happens("the second", "bob", "bob@example.org")
            self.assertEqual(self.exported("bob"), [("the second", "bob"), ("the second", "bob@example.org")], end)
            self.hermes("remove", "bob")
            self.hermes("add", "bob", "--generate")

    def test_said(self) -> None:
        """What is left out is told, with how much it is and why; nothing is told where nothing is."""
        self.happens("the first", "bob", "bob", "bob@example.org")
        self.exported("bob")
        self.assertNotIn("Left out", self.said)
        self.hermes("remove", "bob")
        self.hermes("add", "bob", "--generate")
        self.exported("bob")
        told = [line for line in self.said.splitlines() if "Left out" in line]
        self.assertEqual(len(told), 2, told)
        self.assertRegex(told[0], r"2 facts about bob, .*somebody else's.*since 2\d{3}-")
        self.assertRegex(told[1], r"1 fact about bob@example\.org, .*somebody else's")

    def test_after_a_renaming(self) -> None:
        """The name that somebody gave up by a renaming is another's from then on, and each keeps what is its own."""
        self.happens("the first", "bob", "bob@example.org")
        self.hermes("rename", "bob", "robert")
        self.hermes("add", "bob", "--generate")
        self.happens("the second", "bob", "bob@example.org")
        self.assertEqual({of for of, _ in self.exported("bob")}, {"the second"})
        self.assertEqual(self.exported("robert"), [("the first", "bob"), ("the first", "bob@example.org")])
        # The second one moves on, too, and a third one gets the name.
        self.hermes("rename", "bob", "rob")
        self.hermes("add", "bob", "--generate")
        self.happens("the third", "bob", "bob@example.org")
        self.assertEqual({of for of, _ in self.exported("rob")}, {"the second"})
        self.assertEqual({of for of, _ in self.exported("bob")}, {"the third"})
        self.assertEqual({of for of, _ in self.exported("robert")}, {"the first"})

    def test_before_a_renaming(self) -> None:
        """Whoever is given a name that another had before has it from the renaming on."""
        self.happens("the first", "bob", "bob@example.org")
        self.hermes("remove", "bob")
        self.hermes("add", "rob", "--generate")
        self.happens("nobody", "bob", "bob@example.org")
        self.happens("the second", "rob", "rob@example.org")
        self.hermes("rename", "rob", "bob")
        self.happens("the second", "bob", "bob@example.org")
        found = self.exported("bob")
        self.assertEqual([each for _, each in found], ["rob", "rob@example.org", "bob", "bob@example.org"])
        self.assertEqual({of for of, _ in found}, {"the second"})

    def test_there_and_back(self) -> None:
        """Who has a name again has both times of it, without the one in which somebody else had it."""
        self.happens("the first", "bob", "bob@example.org")
        self.hermes("rename", "bob", "robert")
        self.hermes("add", "bob", "--generate")
        self.happens("the second", "bob", "bob@example.org")
        self.hermes("remove", "bob")
        self.hermes("rename", "robert", "bob")
        self.happens("the first", "bob", "bob@example.org")
        self.assertEqual(self.exported("bob"), [("the first", "bob"), ("the first", "bob@example.org")] * 2)
        self.assertIn("1 fact about bob, of a time", self.said)

    def test_listed_addresses(self) -> None:
        """An address that an account lists is handed on with that account; one that it goes on listing stays its own."""
        self.hermes("add", "ann", "--generate", "--address", "ann@example.org", "--address", "sales@example.org")
        self.happens("ann", "ann@example.org", "sales@example.org")
        self.hermes("rename", "ann", "anna")
        self.happens("ann", "ann@example.org", "sales@example.org")
        self.assertEqual(len(self.exported("anna")), 4)
        # An account whose name would imply an address that another has takes nothing of it along when it goes.
        self.hermes("add", "sales", "--generate")
        self.hermes("remove", "sales")
        self.assertEqual(len(self.exported("anna")), 4)
        self.hermes("remove", "anna")
        self.hermes("add", "carl", "--generate", "--address", "sales@example.org")
        self.happens("carl", "sales@example.org")
        self.assertEqual(self.exported("carl"), [("carl", "sales@example.org")])

    def test_address_kept(self) -> None:
        """With --keep-address the old one is its own all the time."""
        self.happens("bob", "bob@example.org")
        self.hermes("rename", "--keep-address", "bob", "robert")
        self.happens("bob", "bob@example.org", "robert@example.org")
        self.assertEqual(
            [each for _, each in self.exported("robert")], ["bob@example.org", "bob@example.org", "robert@example.org"]
        )
        self.assertNotIn("Left out", self.said)

    def test_imported(self) -> None:
        """It is so for accounts that come from a list, too."""
        self.happens("the first", "bob", "bob@example.org")
        self.hermes("rename", "bob", "robert")
        table = Path(self.config).parent / "people.csv"
        table.write_text("name\nbob\ncarl\n")
        self.hermes("import", str(table))
        self.happens("the second", "bob", "bob@example.org")
        self.assertEqual({of for of, _ in self.exported("bob")}, {"the second"})

    def test_removed_by_hand(self) -> None:
        """Who was renamed and then taken out of the file by an editor has nothing in common with whoever is imported so."""
        self.happens("the first", "bob")
        self.hermes("rename", "bob", "robert")
        self.happens("the first", "robert", "robert@example.org")
        accounts = Path(self.config).parent / "data" / "accounts.ini"
        accounts.write_text("")
        table = Path(self.config).parent / "people.csv"
        table.write_text("name\nrobert\n")
        self.hermes("import", str(table))
        self.happens("the second", "robert", "robert@example.org")
        self.assertEqual({of for of, _ in self.exported("robert")}, {"the second"})

"""Members of a directory service's group whose accounts are disabled: the mail of the group goes to the others."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account, Local, Redirected, Unknown
from hermes.core.expansion import Expansion, Kind
from hermes.directory import walk
from hermes.directory.accounts import Group, Record
from hermes.directory.directory import Directory
from hermes.directory.sources.several import SeveralSources
from tests.directory.test_expansion import MemoryRedirects
from tests.support.accounts import MemorySource, passwords_with
from tests.support.asked_source import AskedSource

TEAM = "team@example.org"


class LeftOutTests(SynchronousTestCase):
    """Ann and Bob are in the directory, Off and Gone are disabled there; Here is disabled in the file."""

    def directory(self, *members: str, more: dict[str, tuple[str, ...]] | None = None, aliases: str = "") -> Directory:
        """One whose team has these members."""
        groups = {
            address: Group(f"ldap:acme cn={address}", targets)
            for address, targets in {TEAM: members, **(more or {})}.items()
        }
        people = [Account(name, (f"{name}@example.org",)) for name in ("ann", "bob")]
        people += [
            Account("off", ("off@example.org",), disabled=True),
            Account("gone", (), disabled=True, forward=("ann@example.org",)),
        ]
        service = AskedSource(*map(Record, people), groups=groups)
        file = MemorySource(Record(Account("here", ("here@example.org",), disabled=True)))
        return Directory(
            SeveralSources([file, service]),
            ("example.org",),
            "",
            passwords_with(),
            redirects=MemoryRedirects(aliases),
        )

    def done(self, waiting: Any) -> Any:
        """What has come of it."""
        return self.successResultOf(Deferred.fromCoroutine(waiting))

    def expand(self, directory: Directory, address: str = TEAM) -> Expansion:
        """Follow an address."""
        whole: Expansion = self.done(directory.expand(address))
        return whole

    def ends(self, expansion: Expansion) -> list[tuple[Kind, str]]:
        """Who gets the mail."""
        return [(target.kind, target.value or target.address) for target in expansion.targets]

    def test_left_out(self) -> None:
        """The others get the mail; who does not is named, whichever source the account is in, with its name or its address."""
        directory = self.directory("ann@example.org", "off@example.org", "gone", "here@example.org", "bob@example.org")
        whole = self.expand(directory)
        self.assertEqual(self.ends(whole), [(Kind.MAILBOX, "ann"), (Kind.MAILBOX, "bob")])
        self.assertEqual([each.value for each in whole.left_out], ["off", "gone", "here"])
        said = [line for line in whole.lines() if "left out" in line]
        self.assertEqual(
            [line.split()[1] for line in said], [f"{name}@example.org" for name in ("off", "gone", "here")]
        )
        self.assertTrue(all("disabled" in line for line in said), said)
        self.assertEqual(self.done(directory.resolve(TEAM)), Redirected(TEAM))

    def test_one_is_left(self) -> None:
        """Where only one gets it, the address is no second one of that account, and the mail is written down as a group's."""
        directory = self.directory("ann@example.org", "off@example.org")
        self.assertEqual(self.ends(self.expand(directory)), [(Kind.MAILBOX, "ann")])
        self.assertEqual(self.done(directory.resolve(TEAM)), Redirected(TEAM))
        self.assertIsInstance(self.done(self.directory("ann@example.org").resolve(TEAM)), Local)

    def test_nobody_is_left(self) -> None:
        """A group of whom nobody can get it is refused; mail that was taken before does not vanish: its sender hears of it."""
        directory = self.directory("off@example.org", "gone")
        whole = self.expand(directory)
        self.assertEqual(self.ends(whole), [(Kind.DISABLED, "off"), (Kind.DISABLED, "gone")])
        self.assertEqual(whole.left_out, ())
        self.assertEqual(self.done(directory.resolve(TEAM)), Unknown(TEAM, disabled=True))

    def test_groups_in_groups(self) -> None:
        """It is so at every depth, and a group that has nobody left is no obstacle for the others."""
        more = {"all@example.org": (TEAM, "bob@example.org")}
        directory = self.directory("off@example.org", more=more)
        whole = self.expand(directory, "all@example.org")
        self.assertEqual(self.ends(whole), [(Kind.MAILBOX, "bob")])
        self.assertEqual([each.value for each in whole.left_out], ["off"])

    def test_written_by_administrators(self) -> None:
        """Whom a file names is not left out: that line is a mistake, of which the sender hears and `hermes check` tells."""
        directory = self.directory("ann@example.org", "off@example.org", aliases="many: team, off, bob\nold == off")
        self.assertEqual(
            self.ends(self.expand(directory, "many@example.org")),
            [(Kind.MAILBOX, "ann"), (Kind.DISABLED, "off"), (Kind.MAILBOX, "bob")],
        )
        self.assertEqual(self.expand(directory, "many@example.org").left_out, ())
        self.assertEqual(self.ends(self.expand(directory, "old@example.org")), [(Kind.DISABLED, "off")])

    def test_file_comes_first(self) -> None:
        """A disabled member whose address leads elsewhere by a file of aliases is not left out: the mail goes there."""
        directory = self.directory("ann@example.org", "off@example.org", aliases="off == bob")
        whole = self.expand(directory)
        self.assertEqual(self.ends(whole), [(Kind.MAILBOX, "ann"), (Kind.MAILBOX, "bob")])
        self.assertEqual(whole.left_out, ())

    def test_counted(self) -> None:
        """They count towards the limit of ends: a walk takes no more time for them than for others."""
        members = ("ann@example.org", "off@example.org", "gone", "bob@example.org")
        for limit, problem in ((3, True), (4, False), (5, False)):
            self.patch(walk, "MAX_ENDS", limit)
            self.assertEqual(bool(self.expand(self.directory(*members)).problem), problem, limit)

"""What an address stands for: Mercury's order of processing, and everything to its ends."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.account import Account, Local, Redirected, Remote, Resolution, Unknown
from hermes.core.expansion import Expansion, Kind, Means
from hermes.core.srs import SRS
from hermes.directory.accounts import Record, forms_of
from hermes.directory.directory import Directory
from hermes.directory.lookup import DomainRules, Rules
from hermes.directory.redirects import RedirectTable
from hermes.directory.sources.alias_file import parse
from hermes.directory.walk import MAX_ENDS
from tests.support.accounts import MemorySource, passwords_with

DAY = 20_000


class MemoryRedirects:
    """Entries in memory, written as in the files."""

    def __init__(self, aliases: str = "", synonyms: str = "", groups: str = "") -> None:
        self.table = RedirectTable(
            parse("aliases", aliases, programs=True)[0], parse("synonyms", synonyms)[0], parse("groups", groups)[0]
        )

    async def current(self) -> RedirectTable:
        """All of them."""
        return self.table


class ExpansionTestCase(SynchronousTestCase):
    """A directory of four people at two domains."""

    people = (
        Account("ann", (), "Ann Archer"),
        Account("bob", ("bob@example.org",), "Bob B. Baker"),
        Account("off", (), disabled=True),
        Account("boss", ()),
    )

    @override
    def setUp(self) -> None:
        self.srs = SRS(b"key", "example.org")

    def directory(self, aliases: str = "", synonyms: str = "", groups: str = "", **rules: Any) -> Directory:
        """Make it."""
        return Directory(
            MemorySource(*map(Record, rules.pop("people", self.people))),
            ("example.org", "shop.example"),
            rules.pop("postmaster", "boss@example.org"),
            passwords_with(),
            rules=Rules((), **rules),
            redirects=MemoryRedirects(aliases, synonyms, groups),
            srs=lambda: self.srs,
            now=lambda: DAY * 86400.0,
        )

    def expand(self, directory: Directory, address: str) -> Expansion:
        """Follow an address."""
        return self.successResultOf(Deferred.fromCoroutine(directory.expand(address)))

    def resolve(self, directory: Directory, address: str) -> Resolution:
        """What an address is."""
        return self.successResultOf(Deferred.fromCoroutine(directory.resolve(address)))

    def ends(self, directory: Directory, address: str) -> list[str]:
        """The ends, in short; with the problem when there is one."""
        expansion = self.expand(directory, address)
        ends = [f"{each.kind.value} {each.value or each.address}" for each in expansion.targets]
        return [*ends, "problem"] if expansion.problem else ends

    def assert_ends(self, directory: Directory, address: str, *ends: str) -> None:
        """An address has these ends, in their order."""
        self.assertEqual(self.ends(directory, address), list(ends), address)


class AliasTests(ExpansionTestCase):
    """Aliases."""

    def test_one(self) -> None:
        """An alias holds at every domain of ours, in any case, with a detail or without; a full address holds there alone."""
        directory = self.directory("sales == ann\ninfo@shop.example == bob\nfar == joe@example.net")
        for address in ("sales@example.org", "SALES@shop.example", "sales+x@example.org"):
            self.assert_ends(directory, address, "mailbox ann")
        self.assert_ends(directory, "info@shop.example", "mailbox bob")
        self.assert_ends(directory, "info@example.org", "nobody info@example.org")
        self.assert_ends(directory, "far@example.org", "outside joe@example.net")
        self.assert_ends(directory, "sales@example.net", "outside sales@example.net")

    def test_resolution(self) -> None:
        """What leads to one mailbox is that mailbox's; to nobody, unknown; and else the address stands for others."""
        text = "one == ann\nfar == joe@example.net\ntwo: ann, bob\nnone == nobody\noff2 == off\nx == y\ny == x\nf == FILE:f"
        directory = self.directory(text)
        found = self.resolve(directory, "one@example.org")
        assert isinstance(found, Local)
        self.assertEqual(found.account.name, "ann")
        self.assertEqual(self.resolve(directory, "far@example.org"), Redirected("far@example.org"))
        self.assertEqual(self.resolve(directory, "two@example.org"), Redirected("two@example.org"))
        self.assertEqual(self.resolve(directory, "f@example.org"), Redirected("f@example.org"))
        self.assertEqual(self.resolve(directory, "none@example.org"), Unknown("none@example.org"))
        self.assertEqual(self.resolve(directory, "off2@example.org"), Unknown("off2@example.org", disabled=True))
        self.assertEqual(self.resolve(directory, "one@example.net"), Remote("example.net"))
        looped = self.resolve(directory, "x@example.org")
        assert isinstance(looped, Redirected)
        self.assertIn("aliases:6", looped.problem)

    def test_before_the_mailbox(self) -> None:
        """An alias comes before the account of the same name (mercury.md 3.1); naming itself it means that account."""
        self.assert_ends(self.directory("ann == bob"), "ann@example.org", "mailbox bob")
        for text in ("ann: ann, bob", "ann: ann@example.org, bob", "ann@example.org: ann, bob"):
            self.assert_ends(self.directory(text), "ann@example.org", "mailbox ann", "mailbox bob")
        self.assert_ends(self.directory("gone == gone"), "gone@example.org", "nobody gone@example.org")

    def test_lists(self) -> None:
        """Every end is there once, by whatever ways; those that do not exist are told."""
        directory = self.directory(
            "all: staff, ann, joe@example.net, nobody\nstaff: ann@shop.example, bob, Joe@example.NET, off"
        )
        self.assert_ends(
            directory,
            "all@example.org",
            "mailbox ann",
            "mailbox bob",
            "outside Joe@example.NET",
            "disabled off",
            "nobody nobody@example.org",
        )

    def test_special(self) -> None:
        """Files, folders and programs are ends, each with the line that says so."""
        directory = self.directory('a == FILE:/x\nb == TFILE:/y\nc == PUBLIC:z\nd: ann, "|run it"')
        for address, end in (("a", "FILE /x"), ("b", "TFILE /y"), ("c", "PUBLIC z")):
            self.assert_ends(directory, f"{address}@example.org", end)
        self.assert_ends(directory, "d@example.org", "mailbox ann", "program run it")
        self.assertEqual(self.expand(directory, "d@example.org").targets[1].place, "aliases:4")

    def test_not_from_a_sender(self) -> None:
        """Special targets are the administrator's: an address that looks like one is an address."""
        directory = self.directory("a == ann")
        for address in ("|cat@example.org", "FILE:/etc/passwd@example.org", "PUBLIC:x", "|cat"):
            expansion = self.expand(directory, address)
            self.assertNotIn(expansion.targets[0].kind, {Kind.PROGRAM, Kind.FILE, Kind.PUBLIC}, address)

    def test_rules(self) -> None:
        """A set of rules is an end, of an alias or a group, with the place where it is written."""
        directory = self.directory("sales: boss, FILTER:/x/sales.rul", groups="all == FILTER:/x/all.rul")
        for address, path in (("sales@example.org", "/x/sales.rul"), ("all@example.org", "/x/all.rul")):
            *_, end = self.expand(directory, address).targets
            self.assertEqual((end.kind, end.value), (Kind.RULES, path))
            self.assertEqual(self.resolve(directory, address), Redirected(address))
            self.assertIn(path, self.expand(directory, address).lines()[-1])

    def test_depth(self) -> None:
        """So many steps and no more."""
        chain = "".join(f"a{number} == a{number + 1}\n" for number in range(5)) + "a5 == ann"
        self.assert_ends(self.directory(chain), "a1@example.org", "mailbox ann")
        self.assert_ends(self.directory(chain), "a0@example.org", "problem")
        self.assert_ends(self.directory(chain, depth=6), "a0@example.org", "mailbox ann")
        self.assertIn("more than 5 steps", self.expand(self.directory(chain), "a0@example.org").problem)

    def test_loops(self) -> None:
        """A loop is found wherever it is entered, also behind something that can be delivered."""
        directory = self.directory("a: ann, b\nb == c\nc == b")
        self.assert_ends(directory, "a@example.org", "mailbox ann", "problem")
        self.assert_ends(directory, "c@example.org", "problem")

    def test_breadth(self) -> None:
        """What grows with every step is walked once; so many ends and no more."""
        wide = (
            "\n".join(f"a{n}: a{n + 1}, a{n + 1}@example.org, a{n + 1}@shop.example" for n in range(4)) + "\na4 == ann"
        )
        self.assert_ends(self.directory(wide), "a0@example.org", "mailbox ann")
        text = "\n".join(f"l{n}: " + ",".join(f"u{n}x{m}@example.net" for m in range(5000)) for n in range(3))
        directory = self.directory(f"{text}\ntwo: l0, l1\nthree: l0, l1, l2")
        self.assertEqual(len(self.expand(directory, "two@example.org").targets), MAX_ENDS)
        self.assertIn("more than", self.expand(directory, "three@example.org").problem)


class OrderTests(ExpansionTestCase):
    """mercury.md 3.1: which comes first."""

    def test_synonyms(self) -> None:
        """A synonym for the whole address, or for the local part, after aliases and before accounts."""
        directory = self.directory("ann == boss", "a.archer == ann\nb@shop.example == bob\nbob == ann")
        self.assert_ends(directory, "a.archer@example.org", "mailbox ann")
        self.assert_ends(directory, "b@shop.example", "mailbox bob")
        self.assert_ends(directory, "bob@example.org", "mailbox ann")

    def test_groups(self) -> None:
        """A group after aliases and synonyms, before accounts."""
        directory = self.directory("one == ann", "two == bob", "one: boss\ntwo: boss\nthree: ann, bob\nann: bob")
        self.assert_ends(directory, "one@example.org", "mailbox ann")
        self.assert_ends(directory, "two@example.org", "mailbox bob")
        self.assert_ends(directory, "three@shop.example", "mailbox ann", "mailbox bob")
        self.assert_ends(directory, "ann@example.org", "mailbox bob")

    def test_domain_mailbox(self) -> None:
        """DM=: whatever the local part, except aliases; before synonyms of local parts, groups and accounts."""
        rules = {"shop.example": DomainRules(mailbox="bob", place="config.ini [domain:shop]")}
        directory = self.directory("sales == ann", "x == ann\ny@shop.example == boss", "g: ann", of_domains=rules)
        for address in ("anybody", "ann", "x", "g", "postmaster"):
            self.assert_ends(directory, f"{address}@shop.example", "mailbox bob")
        self.assert_ends(directory, "sales@shop.example", "mailbox ann")
        self.assert_ends(directory, "y@shop.example", "mailbox boss")
        self.assert_ends(directory, "anybody@example.org", "nobody anybody@example.org")
        self.assertEqual(self.expand(directory, "x@shop.example").steps[0].means, Means.DOMAIN_MAILBOX)

    def test_domain_mailbox_at_itself(self) -> None:
        """A domain whose mailbox has an address there ends at that mailbox."""
        rules = {"example.org": DomainRules(mailbox="ann@example.org", place="here")}
        self.assert_ends(self.directory(of_domains=rules), "x@example.org", "mailbox ann")

    def test_catch_all(self) -> None:
        """What is for nobody else, and only that."""
        rules = {"shop.example": DomainRules(catch_all="joe@example.net", place="here")}
        directory = self.directory("sales == bob", of_domains=rules)
        self.assert_ends(directory, "anybody@shop.example", "outside joe@example.net")
        self.assert_ends(directory, "ann@shop.example", "mailbox ann")
        self.assert_ends(directory, "sales@shop.example", "mailbox bob")
        self.assert_ends(directory, "postmaster@shop.example", "mailbox boss")
        dead = {"shop.example": DomainRules(catch_all="gone@shop.example", place="here")}
        self.assert_ends(self.directory(of_domains=dead), "x@shop.example", "nobody gone@shop.example")


class NameTests(ExpansionTestCase):
    """Forms of people's names."""

    def test_forms(self) -> None:
        """First and last word, whole or with its first letter, with a dot or an underscore."""
        self.assertEqual(forms_of("Ann Mary Archer"), ("ann.archer", "a.archer", "ann_archer", "a_archer"))
        for name in ("Ann", "", "Dr. Ann <x>", "A@b c", "St. John", "x y,"):
            self.assertEqual(forms_of(name), (), name)
        self.assertEqual(forms_of("J\u00f6rg \u00c4rger")[0], "j\u00f6rg.\u00e4rger")

    def test_recognized(self) -> None:
        """They are addresses where the account has one, when the settings say so."""
        directory = self.directory(name_forms=True)
        for address in ("Ann.Archer@shop.example", "a.archer@example.org", "a_archer+x@example.org"):
            self.assert_ends(directory, address, "mailbox ann")
        self.assert_ends(directory, "bob_baker@example.org", "mailbox bob")
        self.assert_ends(directory, "bob.baker@shop.example", "nobody bob.baker@shop.example")
        self.assert_ends(self.directory(), "ann.archer@example.org", "nobody ann.archer@example.org")

    def test_ambiguous(self) -> None:
        """What could be two people is nobody's; what tells them apart is."""
        people = (*self.people, Account("al", (), "Al Archer"))
        directory = self.directory(name_forms=True, people=people)
        self.assert_ends(directory, "a.archer@example.org", "nobody a.archer@example.org")
        self.assert_ends(directory, "al.archer@example.org", "mailbox al")


class ForwardTests(ExpansionTestCase):
    """Accounts whose mail goes elsewhere."""

    def directory_of(self, *accounts: Account, aliases: str = "") -> Directory:
        """With these accounts beside the others."""
        return self.directory(aliases, people=(*self.people, *accounts))

    def test_forward(self) -> None:
        """Instead of the mailbox, or beside it."""
        joe = Account("joe", (), forward=("joe@example.net", "ann@example.org"))
        directory = self.directory_of(joe)
        self.assert_ends(directory, "joe@example.org", "outside joe@example.net", "mailbox ann")
        self.assertTrue(self.expand(directory, "joe@example.org").targets[0].forwarded)
        also = Account("joe", (), forward=("joe@example.net",), deliver_also=True)
        self.assert_ends(self.directory_of(also), "joe@example.org", "mailbox joe", "outside joe@example.net")

    def test_still_an_account(self) -> None:
        """The address is the account's all the same, also behind an alias: its owner may send from it."""
        directory = self.directory_of(Account("joe", (), forward=("x@example.net",)), aliases="sales == joe")
        for address in ("joe@example.org", "sales@example.org"):
            found = self.resolve(directory, address)
            assert isinstance(found, Local)
            self.assertEqual(found.account.name, "joe")

    def test_to_oneself(self) -> None:
        """Who forwards to the own address as well means the mailbox."""
        joe = Account("joe", (), forward=("joe@example.org", "x@example.net"))
        self.assert_ends(self.directory_of(joe), "joe@example.org", "mailbox joe", "outside x@example.net")

    def test_to_each_other(self) -> None:
        """Two who forward to each other are in a loop; three forwards count as steps."""
        one = Account("one", (), forward=("two@example.org",))
        two = Account("two", (), forward=("one@example.org",))
        self.assert_ends(self.directory_of(one, two), "one@example.org", "problem")


class PostmasterTests(ExpansionTestCase):
    """RFC 5321 4.5.1 with aliases."""

    def test_alias(self) -> None:
        """An alias for postmaster comes first; without one it is the settings' address."""
        self.assert_ends(self.directory("postmaster == ann"), "Postmaster@shop.example", "mailbox ann")
        self.assert_ends(self.directory(), "postmaster", "mailbox boss")
        self.assert_ends(self.directory("postmaster: ann, bob"), "postmaster", "mailbox ann", "mailbox bob")
        self.assertEqual(self.expand(self.directory(), "postmaster@example.org").steps[0].means, Means.POSTMASTER)


class ReturnTests(ExpansionTestCase):
    """Reports to senders that were rewritten."""

    def test_back(self) -> None:
        """Such an address leads to the first sender; one that is forged or old to nobody, even beside a catch-all."""
        rules = {"example.org": DomainRules(catch_all="ann", place="here")}
        directory = self.directory(of_domains=rules)
        good = self.srs.forward("Joe@first.example", DAY)
        self.assert_ends(directory, good, "outside Joe@first.example")
        self.assertEqual(self.resolve(directory, good), Redirected(good))
        for bad in (good.replace("Joe", "Bob"), self.srs.forward("joe@first.example", DAY - 100)):
            self.assertEqual(self.resolve(directory, bad), Unknown(bad))

    def test_no_command(self) -> None:
        """A sender with the name of a command is an address, also on the way back, and in an account's forward."""
        sender = "|cat@first.example"
        directory = self.directory("x == |cat@first.example", people=(Account("joe", (), forward=(sender,)),))
        self.assert_ends(directory, self.srs.forward(sender, DAY), f"outside {sender}")
        self.assert_ends(directory, "joe@example.org", f"outside {sender}")
        self.assert_ends(directory, "x@example.org", "program cat@first.example")

    def test_to_ourselves(self) -> None:
        """One that leads to an address of ours goes on from there."""
        self.assert_ends(self.directory(), self.srs.forward("ann@example.org", DAY), "mailbox ann")


class SpeedTests(ExpansionTestCase):
    """10,000 accounts and 100,000 aliases."""

    def test_quick(self) -> None:
        """An address is resolved in well under a millisecond on any machine (in some 20 microseconds on the developers')."""
        people = [Account(f"user{n}", (), f"First{n} Last{n}") for n in range(10_000)]
        aliases = "".join(f"alias{n} == user{n % 10_000}\n" for n in range(100_000))
        directory = self.directory(aliases, people=people, name_forms=True)
        addresses = [f"{kind}{n}@example.org" for n in range(500) for kind in ("user", "alias", "nobody")]

        async def every() -> None:
            for address in addresses:
                await directory.resolve(address)

        began = time.process_time()
        self.successResultOf(Deferred.fromCoroutine(every()))
        self.assertLess((time.process_time() - began) / len(addresses), 0.0005)

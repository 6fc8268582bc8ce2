"""Accounts from several sources, in order, some of which must be asked and may not be there."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account, Local, Redirected, Remote, Unknown
from hermes.core.expansion import Kind
from hermes.directory.accounts import Group, Record
from hermes.directory.directory import Directory
from hermes.directory.lookup import MAX_DETAILS
from hermes.directory.password_change import PasswordChange, PasswordRule
from hermes.directory.sources.several import SeveralSources, named
from hermes.interfaces import UnavailableError
from tests.support.accounts import MemorySource, passwords_with, record
from tests.support.asked_source import AskedSource, AskedView


class _Endless(AskedSource):
    """A source whose every answer leads to another question."""

    async def current(self) -> AskedView:
        """A view that always has something to find out."""
        view = AskedView(self)

        async def learn() -> bool:
            return True

        view.learn = learn  # type: ignore[method-assign]
        return view


class SeveralSourcesTests(SynchronousTestCase):
    """A file, and a service that is asked."""

    def setUp(self) -> None:
        """Joe is in the file; Ann, another Joe and a group are in the service."""
        self.file = MemorySource(record("joe", password="correct horse"), record("root", "root@example.org"))
        service = [
            attrs.evolve(record("ann", "ann@example.org", "sales@example.org"), key="cn=ann"),
            record("joe", "joe@example.org", "boss@example.org"),
            record("eve", "root@example.org"),
            Record(Account("bob", (), forward=("ann@example.org",))),
        ]
        self.service = AskedSource(groups={"team@example.org": Group("team", ("ann@example.org", "joe@example.org"))})
        self.service.table = AskedSource(*(attrs.evolve(each, keeper=self.service) for each in service)).table
        self.source = SeveralSources([self.file, self.service])
        self.directory = Directory(self.source, ("example.org",), "root@example.org", passwords_with())

    def resolve(self, address: str) -> object:
        """The account's name, or what else it is."""
        found = self.successResultOf(Deferred.fromCoroutine(self.directory.resolve(address)))
        return found.account.name if isinstance(found, Local) else found

    def verify(self, name: str, password: str) -> str | None:
        """Who logs in."""
        account = self.successResultOf(Deferred.fromCoroutine(self.directory.verify(name, password)))
        return account.name if account else None

    def assert_unavailable(self, *waiting: object) -> None:
        """None of them can be answered now."""
        for each in waiting:
            self.failureResultOf(Deferred.fromCoroutine(each), UnavailableError)  # type: ignore[arg-type]

    def test_first_decides(self) -> None:
        """Each is found in its source; what the first knows the second is not asked."""
        self.assertEqual(self.resolve("joe@example.org"), "joe")
        self.assertEqual(self.service.asked, [])
        self.assertEqual(self.resolve("Sales@example.org"), "ann")
        self.assertEqual(self.resolve("bob+detail@example.org"), "bob")
        self.assertEqual(self.resolve("nobody@example.org"), Unknown("nobody@example.org"))
        self.assertEqual(self.resolve("joe@example.net"), Remote("example.net"))

    def test_many_details(self) -> None:
        """So many details are taken off one by one; of more only some, and in the end all: each is a question to the service."""
        for count in range(MAX_DETAILS + 2):
            details = "".join(f"+{number}" for number in range(count))
            self.service.asked.clear()
            self.assertEqual(self.resolve(f"bob{details}@example.org"), "bob", details)
            parts = {each.rpartition("@")[0] for each in self.service.asked if each.startswith("bob")}
            self.assertEqual(len(parts - {""}), min(count, MAX_DETAILS) + 1, details)
        self.assertEqual(self.resolve(f"{'+' * 60}@example.org"), Unknown(f"{'+' * 60}@example.org"))

    def test_later_source_takes_nothing(self) -> None:
        """Neither the address nor the mailbox of an account in an earlier source is anybody else's."""
        self.assertEqual(self.resolve("root@example.org"), "root")
        self.assertEqual(self.resolve("boss@example.org"), Unknown("boss@example.org"))
        account = self.successResultOf(Deferred.fromCoroutine(self.directory.account("JOE")))
        assert account is not None
        self.assertEqual(account.addresses, ("joe@example.org",))

    def test_group(self) -> None:
        """A group of the service is an address that leads to its members."""
        self.assertEqual(self.resolve("team@example.org"), Redirected("team@example.org"))
        whole = self.successResultOf(Deferred.fromCoroutine(self.directory.expand("team@example.org")))
        self.assertEqual(
            [(each.kind, each.value) for each in whole.targets], [(Kind.MAILBOX, "ann"), (Kind.MAILBOX, "joe")]
        )

    def test_group_of_what_members_write(self) -> None:
        """What has a meaning in files of aliases is an address like others in a group of the service: people write their own."""
        odd = tuple(
            f"{text}@example.org"
            for text in ("|id", "FILE:/etc/passwd", "TFILE:/etc/passwd", "FILTER:/x", "PUBLIC:news")
        )
        self.service.groups["odd@example.org"] = Group("ldap:acme cn=odd", odd)
        whole = self.successResultOf(Deferred.fromCoroutine(self.directory.expand("odd@example.org")))
        self.assertEqual([(each.kind, each.address) for each in whole.targets], [(Kind.NOBODY, text) for text in odd])

    def test_forward(self) -> None:
        """What an account of the service has as its forward is followed."""
        whole = self.successResultOf(Deferred.fromCoroutine(self.directory.expand("bob@example.org")))
        self.assertEqual([each.value for each in whole.targets], ["ann"])

    def test_not_there(self) -> None:
        """What the service would have to be asked cannot be told; what the file knows can."""
        self.service.here = False
        self.assertEqual(self.resolve("joe@example.org"), "joe")
        self.assertEqual(self.verify("joe", "correct horse"), "joe")
        self.assertIsNone(self.verify("joe", "wrong"))
        self.assert_unavailable(
            self.directory.resolve("ann@example.org"),
            self.directory.resolve("nobody@example.org"),
            self.directory.expand("team@example.org"),
            self.directory.account("ann"),
            self.directory.verify("ann", "correct horse"),
            self.directory.verify("nobody", "correct horse"),
            self.directory.scram_keys("ann"),
        )

    def test_login(self) -> None:
        """The service checks the passwords that it keeps; for everybody else it takes its time as well."""
        self.service.password = "battery staple"
        self.assertEqual(self.verify("ann", "battery staple"), "ann")
        self.assertEqual(self.verify("sales@example.org", "battery staple"), "ann")
        self.assertEqual(self.service.pretended, 0)
        self.assertIsNone(self.verify("ann", "wrong"))
        self.assertIsNone(self.verify("ann", ""))
        self.assertEqual(self.service.pretended, 0)
        self.assertIsNone(self.verify("nobody", "battery staple"))
        self.assertIsNone(self.verify("joe", "battery staple"))
        self.assertEqual(self.service.pretended, 2)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.directory.sealed_secret("ann"))), ("", ""))

    def test_impossible_password(self) -> None:
        """What cannot be a password never gets to the service: an empty one would be an anonymous bind."""
        self.service.password = "x"
        for password in ("", "x" * 5000, "\ud800"):
            self.assertIsNone(self.verify("ann", password))
            self.assertIsNone(self.verify("nobody", password))
        self.assertEqual(self.service.pretended, 0)

    def test_change(self) -> None:
        """A new password goes to the source that has the account."""
        rule = PasswordRule(8, 4)
        changing = PasswordChange(self.source, passwords_with(), rule)
        for name in ("joe", "ann"):
            change = changing.change(Account(name, ()), "correct horse", "battery staple")
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(change)), "")
        self.assertEqual([name for name, *_ in self.file.changed], ["joe"])
        self.assertEqual(self.service.changes, [("cn=ann", "correct horse", "battery staple")])
        nobody = self.source.change_password("nobody", "hash")
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(nobody)))

    def test_endless(self) -> None:
        """A service that always has something new to find out is not asked for ever."""
        endless = _Endless()
        self.source.use([endless])
        self.assert_unavailable(self.directory.resolve("ann@example.org"), named(self.source, "ann"))

    def test_known(self) -> None:
        """What is known without asking are the accounts of the file."""
        self.assertEqual(set(self.source.known().by_name), {"joe", "root"})
        self.source.use([self.service])
        self.assertEqual(dict(self.source.known().by_name), {})

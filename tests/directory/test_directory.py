"""What an address is, and who may log in."""

from __future__ import annotations

import attrs
from argon2 import PasswordHasher
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface.verify import verifyObject

from hermes.core.account import Account, Local, Remote, Resolution, Unknown
from hermes.directory.directory import Directory
from hermes.interfaces import IDirectory, IScramKeys, TooBusyError
from hermes.protocols.scram_keys import ScramKeys, derive, parse
from tests.support.accounts import MemorySource, directory_of, passwords_with, record
from tests.support.scram import quick_keys
from tests.support.worker import ImmediateWorker


class ResolveTests(SynchronousTestCase):
    """:meth:`Directory.resolve`."""

    @override
    def setUp(self) -> None:
        self.directory = directory_of(
            record("joe", "joe@example.org", "Info@Example.com"),
            record("ann"),
            record("bob", "ann@example.com"),
            record("gone", disabled=True),
            record("left", "old@example.org", disabled=True),
            record("a+b"),
            record("juergen", "jürgen@bücher.test"),
            domains=("Example.org", "example.com", "bücher.test"),
            postmaster="joe@example.org",
        )

    def resolve(self, address: str) -> Resolution:
        """What it is."""
        return self.successResultOf(self.directory.resolve(address))

    def assert_reaches(self, name: str, *addresses: str) -> None:
        """All of them are that account's."""
        for address in addresses:
            found = self.resolve(address)
            assert isinstance(found, Local), (address, found)
            self.assertEqual((address, name), (address, found.account.name))

    def assert_unknown(self, *addresses: str, disabled: bool = False) -> None:
        """None of them exists."""
        for address in addresses:
            self.assertEqual(Unknown(address, disabled), self.resolve(address))

    def test_interface(self) -> None:
        """It provides what the seam asks for."""
        verifyObject(IDirectory, self.directory)

    def test_listed(self) -> None:
        """Addresses that an account lists reach it, in any case; its name at other domains does not."""
        self.assert_reaches("joe", "joe@example.org", "JOE@EXAMPLE.ORG", "info@example.com", "INFO@Example.Com")
        self.assert_unknown("joe@example.com", "info@example.org")

    def test_implied(self) -> None:
        """An account that lists none has its name at each domain, except where another lists that address."""
        self.assert_reaches("ann", "ann@example.org", "ANN@example.org", "ann@bücher.test")
        self.assert_reaches("bob", "ann@example.com")
        found = self.resolve("ann@example.org")
        assert isinstance(found, Local)
        self.assertEqual(("ann@example.org", "ann@xn--bcher-kva.test"), found.account.addresses)

    def test_other_domains(self) -> None:
        """An address at a domain that is not ours is somebody else's, whoever lists it; subdomains are not ours."""
        for address in ("joe@example.net", "joe@Sub.Example.org", "joe@[192.0.2.1]", "postmaster@example.net"):
            self.assertEqual(Remote(address.partition("@")[2].lower()), self.resolve(address))

    def test_unknown(self) -> None:
        """What nobody has, at our domains."""
        self.assert_unknown(
            "nobody@example.org", "@example.org", "joe@x@example.org", ".@example.org", "jo@example.org"
        )

    def test_disabled(self) -> None:
        """Addresses of a disabled account say so."""
        self.assert_unknown("gone@example.org", "old@example.org", "old+x@example.org", disabled=True)

    def test_international_domain(self) -> None:
        """Both forms of a domain are ours, whichever the settings and the account use."""
        self.assert_reaches(
            "juergen",
            "jürgen@bücher.test",
            "JÜRGEN@BÜCHER.test",
            "jürgen@xn--bcher-kva.test",
            "ju\u0308rgen@XN--Bcher-kva.test",
        )

    def test_details(self) -> None:
        """joe+anything reaches joe, with more than one plus too; a name with a plus is its own account's first."""
        self.assert_reaches(
            "joe", "joe+list@example.org", "joe+a+b@example.org", "joe+@example.org", "Info+X@example.com"
        )
        self.assert_reaches("a+b", "a+b@example.org", "a+b+c@example.org")
        self.assert_unknown("a+c@example.org", "+joe@example.org", "++@example.org", "+" * 64 + "@example.org")

    def test_postmaster(self) -> None:
        """Postmaster alone and at every domain is the account behind the settings' address (RFC 5321 4.5.1)."""
        self.assert_reaches(
            "joe",
            "postmaster",
            "Postmaster",
            "POSTMASTER@example.org",
            "postmaster@example.com",
            "postmaster+x@example.com",
        )

    def test_no_other_address_without_a_domain(self) -> None:
        """Nothing but postmaster may stand without a domain."""
        self.assert_unknown("joe", "", "postmaster+x")


class PostmasterTests(SynchronousTestCase):
    """The postmaster of the settings, where it is not simply an address."""

    def resolve(self, postmaster: str, address: str = "postmaster@example.org") -> Resolution:
        """What postmaster is with this setting."""
        directory = directory_of(
            record("joe", "joe@example.org", "pm@example.com"),
            record("off", disabled=True),
            record("boss", "postmaster@example.com"),
            domains=("example.org", "example.com"),
            postmaster=postmaster,
        )
        return self.successResultOf(directory.resolve(address))

    def name(self, found: Resolution) -> str:
        """Whose it is."""
        assert isinstance(found, Local), found
        return found.account.name

    def test_forms(self) -> None:
        """Any address of the account will do, with a detail or in capitals, and so will its name."""
        for postmaster in ("joe@example.org", "PM@example.com", "joe+pm@example.org", "joe", "Joe"):
            self.assertEqual("joe", self.name(self.resolve(postmaster)))

    def test_an_account_that_lists_it(self) -> None:
        """An account that lists postmaster at a domain has it there, and only there."""
        self.assertEqual("boss", self.name(self.resolve("joe@example.org", "postmaster@example.com")))
        self.assertEqual("joe", self.name(self.resolve("joe@example.org", "postmaster")))

    def test_an_account_of_that_name(self) -> None:
        """An account named postmaster that lists no addresses is the postmaster, without any setting."""
        directory = directory_of(record("postmaster"), postmaster="")
        self.assertEqual("postmaster", self.name(self.successResultOf(directory.resolve("Postmaster@example.org"))))

    def test_nobody(self) -> None:
        """Where the setting is empty, foreign, unknown or turns in a circle, there is nobody."""
        for postmaster in (
            "",
            "joe@example.net",
            "nobody@example.org",
            "postmaster@example.org",
            "postmaster+x@example.org",
        ):
            self.assertEqual(Unknown("postmaster@example.org"), self.resolve(postmaster))

    def test_disabled(self) -> None:
        """A disabled postmaster is unknown, and said to be disabled."""
        self.assertEqual(Unknown("postmaster", disabled=True), self.resolve("off@example.org", "postmaster"))


class AccountTests(SynchronousTestCase):
    """:meth:`Directory.account` and :meth:`Directory.verify`."""

    @override
    def setUp(self) -> None:
        self.worker = ImmediateWorker()
        self.source = MemorySource(
            record("joe", "joe@example.org", "info@example.net", password="secret"),
            record("ann", password="geheim"),
            record("off", password="secret", disabled=True),
            record("mute"),
        )
        self.directory = Directory(self.source, ["example.org"], "", passwords_with(self.worker))

    def verify(self, name: str, password: str) -> str | None:
        """Who it is."""
        account = self.successResultOf(self.directory.verify(name, password))
        return account.name if account is not None else None

    def test_account(self) -> None:
        """An account is found by its name in any case, with all its addresses; not by an address."""
        find = lambda name: self.successResultOf(self.directory.account(name))  # noqa: E731
        self.assertEqual(Account("joe", ("joe@example.org", "info@example.net")), find("JOE"))
        self.assertEqual(("ann@example.org",), find("ann").addresses)
        self.assertTrue(find("off").disabled)
        for name in ("nobody", "joe@example.org", ""):
            self.assertIsNone(find(name))

    def test_names(self) -> None:
        """One logs in by name or by any address, listed or implied, in any case."""
        for name in ("joe", "JOE", "joe@example.org", "Joe@Example.Org", "info@example.net"):
            self.assertEqual("joe", self.verify(name, "secret"))
        self.assertEqual("ann", self.verify("ann@example.org", "geheim"))

    def test_no_names(self) -> None:
        """Details and foreign domains are for mail and not for logins."""
        for name in ("joe+x@example.org", "joe+x", "joe@example.com", "ann@example.com", "", "@example.org", "joe@"):
            self.assertIsNone(self.verify(name, "secret"))

    def test_wrong(self) -> None:
        """A wrong password, an account without one, and a disabled account with the right one."""
        for name, password in (("joe", "Secret"), ("joe", ""), ("mute", ""), ("mute", "x"), ("off", "secret")):
            self.assertIsNone(self.verify(name, password))

    def test_every_name_costs_a_check(self) -> None:
        """Unknown and disabled names, and those without a password, cost what a wrong password costs."""
        for name in ("joe", "nobody", "nobody@example.org", "off", "mute"):
            self.worker.groups.clear()
            self.verify(name, "wrong")
            self.assertEqual([1], self.worker.groups, name)

    def test_too_busy(self) -> None:
        """When too many wait the login fails with TooBusyError, for names that do not exist as well."""
        directory = Directory(self.source, ["example.org"], "", _Busy())  # type: ignore[arg-type]
        for name in ("joe", "nobody"):
            self.failureResultOf(directory.verify(name, "secret"), TooBusyError)

    def test_renewed_hash(self) -> None:
        """A hash with old parameters is replaced after a login, and only then."""
        stored = self.source.table.by_name["joe"].password_hash
        directory = Directory(self.source, ["example.org"], "", passwords_with(hasher=_stronger()))
        self.assertIsNone(self.successResultOf(directory.verify("joe", "wrong")))
        self.assertEqual([], self.source.changed)
        self.assertIsNotNone(self.successResultOf(directory.verify("joe", "secret")))
        ((name, new_hash, instead_of),) = self.source.changed
        self.assertEqual(("joe", stored), (name, instead_of))
        self.assertFalse(_stronger().check_needs_rehash(new_hash))

    def test_keys_are_made_at_a_login(self) -> None:
        """Where they are wanted, an account without keys for SCRAM gets them at its login; one with keys keeps them."""
        stored = self.source.table.by_name["joe"].password_hash
        self.assertEqual("joe", self.verify("joe", "secret"))
        self.assertEqual([], self.source.changed)
        directory = Directory(self.source, ["example.org"], "", passwords_with(), makes_scram=True)
        self.assertIsNone(self.successResultOf(directory.verify("joe", "wrong")))
        self.assertEqual([], self.source.changed)
        self.assertIsNotNone(self.successResultOf(directory.verify("joe", "secret")))
        self.assertEqual([("joe", stored, stored)], self.source.changed)
        keys = parse(self.source.scram[0])
        self.assertEqual(derive(b"secret", keys.salt, keys.iterations), keys)

    def test_renewed_hash_keeps_the_keys(self) -> None:
        """A hash that is renewed does not cost the account its keys for SCRAM."""
        keys = str(quick_keys("secret"))
        source = MemorySource(attrs.evolve(record("joe", password="secret"), scram=keys))
        for makes_scram in (False, True):
            passwords = passwords_with(hasher=_stronger())
            directory = Directory(source, ["example.org"], "", passwords, makes_scram=makes_scram)
            self.assertIsNotNone(self.successResultOf(directory.verify("joe", "secret")))
        self.assertEqual([keys, keys], source.scram)

    def test_a_hash_that_cannot_be_renewed(self) -> None:
        """A source that cannot be written does not keep anybody out."""
        self.source.fault = OSError("read-only")
        directory = Directory(self.source, ["example.org"], "", passwords_with(hasher=_stronger()))
        self.assertIsNotNone(self.successResultOf(directory.verify("joe", "secret")))
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    def test_changed_password(self) -> None:
        """After a change the old password is wrong, although it was right a moment ago."""
        self.assertEqual("joe", self.verify("joe", "secret"))
        self.source.table = MemorySource(record("joe", password="other")).table
        self.assertEqual((None, "joe"), (self.verify("joe", "secret"), self.verify("joe", "other")))


class ScramKeysTests(SynchronousTestCase):
    """:meth:`Directory.scram_keys`."""

    @override
    def setUp(self) -> None:
        self.text = str(quick_keys("secret"))
        self.directory = directory_of(
            *(
                attrs.evolve(each, scram=self.text)
                for each in (
                    record("joe", password="secret"),
                    record("ann", "info@example.com", password="secret"),
                    record("off", password="secret", disabled=True),
                    record("mute"),
                )
            ),
            record("old", password="secret"),
            domains=("example.org", "example.com"),
        )

    def keys(self, name: str) -> tuple[ScramKeys, str]:
        """Ask."""
        return self.successResultOf(self.directory.scram_keys(name))

    def test_interface(self) -> None:
        """It provides what the seam asks for."""
        verifyObject(IScramKeys, self.directory)

    def test_found(self) -> None:
        """The account's keys are found by every name that it can log in by."""
        for name, account in (("joe", "joe"), ("JOE@Example.org", "joe"), ("ann", "ann"), ("info@example.com", "ann")):
            self.assertEqual((parse(self.text), account), self.keys(name), name)

    def test_nobody(self) -> None:
        """A name that does not exist, may not log in, has no password or no keys: made-up keys, and no account."""
        salts = set()
        for name in ("nobody", "off", "mute", "old", "nobody@example.net", "joe+x", "\udcff"):
            keys, account = self.keys(name)
            self.assertEqual("", account, name)
            self.assertNotIn(parse(self.text).stored_key, (keys.stored_key, keys.server_key))
            salts.add(keys.salt)
        self.assertEqual(7, len(salts))

    def test_one_salt_for_all_forms_of_a_name(self) -> None:
        """An account has one salt, whatever form of its name is said; so has who does not exist."""
        for names in (
            ("nobody", "Nobody", "nobody@example.org", "NOBODY@Example.COM"),
            ("a@example.net", "A@example.net"),
        ):
            self.assertEqual(1, len({self.keys(name)[0].salt for name in names}), names)


class _Busy:
    """Passwords that are always too busy."""

    async def verify(self, account_name: str, stored_hash: str, password: str, *, wants_scram: bool = False) -> object:
        """Refuse."""
        raise TooBusyError("too many")


def _stronger() -> PasswordHasher:
    return PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)

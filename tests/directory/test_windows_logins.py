r"""Logging in as Windows programs write it, ``EXAMPLE\joe``: the name of the domain, a backslash, and sAMAccountName."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.ldap import ldap_source
from hermes.config.sections.ldap import LDAPSettings
from hermes.core.account import Local, Unknown
from hermes.directory.directory import Directory
from hermes.directory.sources.doubtful import Doubtful
from hermes.directory.sources.several import SeveralSources
from hermes.interfaces import UnavailableError
from tests.support.accounts import MemorySource, passwords_with, record
from tests.support.scripted_ldap import BIND, SEARCH, ScriptedLDAP, entry, result

JOE, ANN, BOSS = "Joe.s.password", "Ann.s.password", "Boss.s.password"


def people(base: str, *names: str) -> dict[str, dict[str, list[str]]]:
    """Entries of Active Directory."""
    return {
        f"CN={name},{base}": {
            "objectClass": ["top", "person", "organizationalPerson", "user"],
            "sAMAccountName": [name],
            "userPrincipalName": [f"{name.lower()}@ad.example.org"],
        }
        for name in names
    }


class WindowsLoginTests(SynchronousTestCase):
    """An account ``boss`` in the file, then a domain with Joe, Boss and Ann, and after it another one with Ann and Max."""

    def setUp(self) -> None:
        """Each password is a person's in one domain alone."""
        self.file = MemorySource(record("boss", password=BOSS))
        self.database: MemorySource | None = None
        self.asked = 0
        self.servers: list[ScriptedLDAP] = []
        self.addCleanup(self.stop)
        self.one = self.domain("OU=Staff,DC=ad,DC=example,DC=org", {"CN=Joe": JOE, "CN=Ann": ANN, "CN=Boss": BOSS})
        self.two = self.domain("DC=other,DC=example,DC=net", {"CN=Ann": ANN, "CN=Max": JOE})

    def domain(self, base: str, passwords: dict[str, str]) -> str:
        """A domain controller; where it listens."""
        server = ScriptedLDAP(self.answer(base, passwords))
        self.servers.append(server)
        return server.url

    def stop(self) -> None:
        """No controller is there any more."""
        while self.servers:
            self.servers.pop().close()

    def answer(self, base: str, passwords: dict[str, str]) -> Callable[[int, bytes], Sequence[bytes]]:
        """A controller that hands out everybody, whoever is asked for."""
        here = people(base, *(name.removeprefix("CN=") for name in passwords))

        def answer(request: int, body: bytes) -> Sequence[bytes]:
            if request == BIND and b"CN=" in body:
                right = any(f"{name},".encode() in body and word.encode() in body for name, word in passwords.items())
                return [result(BIND, 0 if right else 49)]
            self.asked += request == SEARCH
            found = [entry(dn, values) for dn, values in here.items()] if request == SEARCH else []
            return [*found, result(request, 0)]

        return answer

    def directory(self, *names: str, profile: str = "ad") -> Directory:
        """One whose first domain has these names besides."""
        sources = []
        for name, url, base, written in (
            ("one", self.one, "OU=Staff,DC=ad,DC=example,DC=org", names),
            ("two", self.two, "DC=other,DC=example,DC=net", ()),
        ):
            settings = LDAPSettings(
                servers=(url,), profile=profile, starttls=False, base=base, windows_domains=written, remember=0
            )
            source = ldap_source(name, settings, lambda _, __: [AtOnce()], Clock().seconds, lambda: 0.0)
            self.addCleanup(lambda source=source: self.successResultOf(Deferred.fromCoroutine(source.stop())))
            sources.append(source)
        every = SeveralSources([self.file, *([self.database] if self.database else []), *sources])
        return Directory(every, ("example.org",), "boss@example.org", passwords_with())

    def entered(self, directory: Directory, name: str, password: str) -> str | None:
        """The account that somebody is let into."""
        account = self.successResultOf(Deferred.fromCoroutine(directory.verify(name, password)))
        return account.name if account is not None else None

    def test_of_the_base(self) -> None:
        """The DNS name of the domain is that of the base (RFC 2247), and its first label is the short one; in any case."""
        directory = self.directory()
        for name in ("AD\\joe", "ad\\JOE", "ad.example.org\\Joe", "AD.EXAMPLE.ORG\\joe"):
            self.assertEqual(self.entered(directory, name, JOE), "joe", name)
            self.assertIsNone(self.entered(directory, name, ANN), name)

    def test_written(self) -> None:
        """Where they are written these hold, and no others."""
        directory = self.directory("EXAMPLE", "ad.example.org")
        for name, found in (("example\\joe", "joe"), ("ad.example.org\\joe", "joe"), ("AD\\joe", None)):
            self.assertEqual(self.entered(directory, name, JOE), found, name)

    def test_other_directories(self) -> None:
        """A directory that is none of Windows's has none, unless they are written."""
        self.assertIsNone(self.entered(self.directory(profile="openldap"), "AD\\joe", JOE))

    def test_refused(self) -> None:
        """Whatever else stands before or behind the backslash is as good as a wrong password."""
        directory = self.directory()
        for name in (
            "WRONG\\joe",
            ".\\joe",
            "\\joe",
            "AD\\",
            "\\",
            "AD\\\\joe",
            "AD\\AD\\joe",
            "AD/joe",
            "AD\\joe@ad.example.org",
            "AD\\joe@example.org",
            "WRONG\\joe@ad.example.org",
            "AD \\joe",
            "AD\\*",
            "AD\\nobody",
            "example.org\\joe",
            "org\\joe",
        ):
            self.assertIsNone(self.entered(directory, name, JOE), name)

    def test_of_that_domain_alone(self) -> None:
        """Nobody of another domain is meant, and nobody who is kept here: their names, and mailboxes, are other people's."""
        directory = self.directory()
        self.assertEqual(self.entered(directory, "OTHER\\max", JOE), "max")
        self.assertIsNone(self.entered(directory, "AD\\max", JOE))
        self.assertIsNone(self.entered(directory, "OTHER\\joe", JOE))
        # Boss of the domain has no account: an earlier source has one of that name, with another mailbox.
        self.assertEqual(self.entered(directory, "boss", BOSS), "boss")
        self.assertIsNone(self.entered(directory, "AD\\boss", BOSS))
        # Ann of the second domain likewise.
        self.assertEqual(self.entered(directory, "AD\\ann", ANN), "ann")
        self.assertIsNone(self.entered(directory, "OTHER\\ann", ANN))

    def test_not_an_address(self) -> None:
        """It is for logging in: mail is written to nobody in that way."""
        directory = self.directory()
        for address in ("AD\\joe@example.org", '"AD\\\\joe"@example.org'):
            found = self.successResultOf(Deferred.fromCoroutine(directory.resolve(address)))
            self.assertEqual(found, Unknown(address))
        self.assertIsInstance(self.successResultOf(Deferred.fromCoroutine(directory.resolve("joe@example.org"))), Local)
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(directory.account("AD\\joe"))))

    def test_app_passwords(self) -> None:
        """Whoever asks for a login by its name alone finds the same account."""
        account = self.successResultOf(Deferred.fromCoroutine(self.directory().login("AD\\joe")))
        assert account is not None
        self.assertEqual((account.name, account.addresses), ("joe", ("joe@example.org",)))

    def test_asked_alike(self) -> None:
        """Whether there is somebody of that name makes no difference to what is asked, and so none to the time."""
        directory = self.directory()
        asked = []
        for name in ("AD\\joe", "AD\\nobody"):
            before = self.asked
            self.entered(directory, name, "wrong")
            asked.append(self.asked - before)
        plain = []
        for name in ("joe", "nobody"):
            before = self.asked
            self.entered(directory, name, "wrong")
            plain.append(self.asked - before)
        self.assertLessEqual(abs(asked[0] - asked[1]), abs(plain[0] - plain[1]))

    def test_not_there(self) -> None:
        """While the directory cannot be asked there is no telling, as for other names."""
        directory = self.directory()
        self.stop()
        self.failureResultOf(Deferred.fromCoroutine(directory.verify("AD\\joe", JOE)), UnavailableError)

    def test_in_doubt(self) -> None:
        """While it cannot be told whether a database before it has an account of that name, there is no telling either."""

        class InDoubt(MemorySource):
            """A database that cannot be read just now."""

            async def current(self) -> Doubtful:  # type: ignore[override]
                """What was known."""
                return Doubtful(self.table, "it is locked")

        self.database = InDoubt(record("ann", password=ANN))
        directory = self.directory()
        self.failureResultOf(Deferred.fromCoroutine(directory.verify("AD\\joe", JOE)), UnavailableError)
        self.assertIsNone(self.entered(directory, "AD\\ann", ANN))
        self.assertIsNone(self.entered(directory, "AD\\nobody", JOE))

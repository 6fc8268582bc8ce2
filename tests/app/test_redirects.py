"""From config.ini to addresses that stand for others: the rules by which a server, and ``hermes explain``, go."""

from __future__ import annotations

import time
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.redirects import files_of, srs_of
from hermes.app.rulebook import Rulebook
from hermes.config.loader import load
from hermes.core.account import Account
from hermes.core.outcome import FITS, PASS
from hermes.directory.sources.alias_files import AliasFiles
from hermes.directory.sources.file import FileSource
from tests.support.accounts import passwords_with
from tests.support.configuration import MINIMAL, write_config

_DOMAINS = MINIMAL.replace("domains = example.org", "domains = example.org, shop.example") + "[direct]\nenabled = yes\n"
_FORM = "[domain:shop]\ndomains = shop.example\n"


class RedirectsTestCase(SynchronousTestCase):
    """Rules over files in a directory."""

    def rulebook(self, text: str = "", aliases: str = "", **files: str) -> Rulebook:
        """The rules of a configuration, with these files beside the accounts of three people."""
        path = write_config(self, _DOMAINS + text)
        data = Path(path).parent / "data"
        data.mkdir()
        for name, content in {"aliases": aliases, **files}.items():
            (data / name).write_text(content)
        settings = load(path)
        source = FileSource(str(data / "accounts.ini"))
        source.add(Account("anna", ()), "")
        source.add(Account("joe", (), quota_octets=1000, forward=("joe@example.net",)), "")
        source.add(Account("bob", (), quota_octets=1000, forward=("bob@example.net",), deliver_also=True), "")
        source.load()
        redirects = AliasFiles(files_of(settings))
        redirects.load()
        return Rulebook(settings, source, AtOnce(), passwords_with(), time.time, None, redirects, lambda: b"secret")

    def ask(self, rulebook: Rulebook, address: str, octets: int = 0) -> tuple[str, str]:
        """Reply and destination for a stranger."""
        asked = rulebook.policy.recipient(
            address, peer="192.0.2.7", account=None, authentication_required=False, octets=octets
        )
        verdict, destination = self.successResultOf(Deferred.fromCoroutine(asked))
        if verdict.reply is None:
            self.assertIn(verdict, (PASS, FITS))
            return "accepted", destination
        return f"{verdict.reply.code} {verdict.reply.enhanced} {verdict.rule}", destination


class PolicyTests(RedirectsTestCase):
    """What a stranger may write to."""

    def test_aliases(self) -> None:
        """An alias makes an address acceptable, wherever it leads (mercury.md 3.5); what leads to nobody is unknown."""
        rulebook = self.rulebook("", "a == anna\nfar == x@example.net\nl: anna, joe\nn == nobody")
        self.assertEqual(self.ask(rulebook, "a@example.org"), ("accepted", "local:anna"))
        self.assertEqual(self.ask(rulebook, "far@example.org"), ("accepted", "expand:far@example.org"))
        self.assertEqual(self.ask(rulebook, "L@shop.example"), ("accepted", "expand:L@shop.example"))
        self.assertEqual(self.ask(rulebook, "n@example.org"), ("550 5.1.1 relay.unknown_user", ""))
        self.assertEqual(self.ask(rulebook, "x@example.net"), ("550 5.7.1 relay.denied", ""))

    def test_loop(self) -> None:
        """A loop, and a way that is too long, are put off with 4.4.6: the administrator may mend them."""
        rulebook = self.rulebook("[directory]\ndepth = 1\n", "x == y\ny == x\nlong == far\nfar == anna")
        for name in ("x", "long"):
            self.assertEqual(self.ask(rulebook, f"{name}@example.org"), ("451 4.4.6 directory.loop", ""))
        self.assertEqual(self.ask(rulebook, "far@example.org"), ("accepted", "local:anna"))

    def test_forward(self) -> None:
        """Whose mail is sent on needs no room; who keeps it as well does."""
        rulebook = self.rulebook()
        self.assertEqual(self.ask(rulebook, "joe@example.org", 5000), ("accepted", "expand:joe@example.org"))
        self.assertTrue(self.ask(rulebook, "bob@example.org", 5000)[0].startswith("552 "))
        self.assertEqual(self.ask(rulebook, "bob@example.org", 500), ("accepted", "expand:bob@example.org"))
        room = rulebook.policy.room("joe@example.org", 5000)
        self.assertIs(self.successResultOf(Deferred.fromCoroutine(room)), PASS)

    def test_postmaster(self) -> None:
        """The postmaster of the settings may be an alias."""
        rulebook = self.rulebook("", "anna: anna, x@example.net")
        self.assertEqual(self.ask(rulebook, "postmaster"), ("accepted", "expand:anna@example.org"))

    def test_domains(self) -> None:
        """A domain has what its section says; its file of aliases holds there alone."""
        rulebook = self.rulebook(_FORM + "catch_all = anna\naliases = shop\n", shop="info == joe")
        self.assertEqual(self.ask(rulebook, "x@shop.example"), ("accepted", "local:anna"))
        self.assertEqual(self.ask(rulebook, "info@shop.example"), ("accepted", "expand:info@shop.example"))
        self.assertEqual(self.ask(rulebook, "info@example.org")[0], "550 5.1.1 relay.unknown_user")
        rulebook = self.rulebook(_FORM + "mailbox = anna\n")
        self.assertEqual(self.ask(rulebook, "x@shop.example"), ("accepted", "local:anna"))

    def test_returning_report(self) -> None:
        """Mail to a rewritten sender is taken from anybody: only we can have made the address."""
        rulebook = self.rulebook()
        srs = rulebook.srs()
        assert srs is not None
        address = srs.forward("x@example.net", int(time.time() // 86400))
        self.assertEqual(self.ask(rulebook, address), ("accepted", f"expand:{address}"))
        self.assertEqual(self.ask(rulebook, address.replace("=x@", "=z@"))[0], "550 5.1.1 relay.unknown_user")


class SRSTests(RedirectsTestCase):
    """Whether senders are rewritten."""

    def test_off(self) -> None:
        """Not when the settings say so, not without a domain of ours, and not before the secret is known."""
        on = load(write_config(self, MINIMAL))
        self.assertIsNotNone(srs_of(on, b"secret"))
        self.assertIsNone(srs_of(on, b""))
        self.assertIsNone(srs_of(load(write_config(self, MINIMAL + "[directory]\nsrs = no\n")), b"secret"))
        self.assertIsNone(srs_of(load(write_config(self, "[hermes]\nhostname = mail.example.org\n")), b"secret"))

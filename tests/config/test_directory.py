"""Tests of ``[directory]`` and ``[domain:NAME]``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.directory_rules import MAX_DEPTH
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.places import accounts_places, directory_files
from tests.support.configuration import MINIMAL, write_config

_SHOP = "[domain:shop]\ndomains = Example.org\n"


class DirectoryRulesTests(SynchronousTestCase):
    """What is right and what is not."""

    def refused(self, text: str, *parts: str) -> None:
        """There is one problem, and it has these parts."""
        error = self.assertRaises(ConfigError, load, write_config(self, MINIMAL + text))
        (problem,) = error.problems
        for part in parts:
            self.assertIn(part, problem.describe("config.ini"))

    def test_right(self) -> None:
        """The defaults, and a section for a domain of ours."""
        settings = load(write_config(self, MINIMAL + _SHOP + "catch_all = anna@example.net\naliases = a, /etc/b\n"))
        self.assertEqual(settings.directory.aliases, ("aliases",))
        self.assertFalse(settings.directory.programs)
        places = directory_files(settings, settings.domain["shop"].aliases)
        self.assertEqual(places, (f"{settings.hermes.data}/a", "/etc/b"))

    def test_sources(self) -> None:
        """Accounts are kept in the file, the database or both, in either order, and each once."""
        settings = load(write_config(self, MINIMAL))
        data = settings.hermes.data
        self.assertEqual(accounts_places(settings), [f"{data}/accounts.ini"])
        for text, files in (
            ("sources = sqlite", ["accounts.sqlite"]),
            ("sources = sqlite, file", ["accounts.sqlite", "accounts.ini"]),
            ("sources = file, sqlite\ndatabase = people.db", ["accounts.ini", "people.db"]),
        ):
            settings = load(write_config(self, f"{MINIMAL}[accounts]\n{text}\n"))
            self.assertEqual(accounts_places(settings), [f"{settings.hermes.data}/{file}" for file in files])
        self.refused("[accounts]\nsources = mysql\n", "[accounts] sources", "'mysql'")
        self.refused("[accounts]\nsources =\n", "[accounts] sources", "somewhere")
        self.refused("[accounts]\nsources = file, file\n", "[accounts] sources", "twice")

    def test_depth(self) -> None:
        """So many steps, and not one more; none is wrong as well."""
        self.assertEqual(load(write_config(self, f"[directory]\ndepth = {MAX_DEPTH}\n")).directory.depth, MAX_DEPTH)
        self.refused(f"[directory]\ndepth = {MAX_DEPTH + 1}\n", "[directory] depth", "too many")
        self.refused("[directory]\ndepth = 0\n", "[directory] depth")

    def test_wrong_domains(self) -> None:
        """A section is about domains of ours, each of which stands in one."""
        self.refused("[domain:shop]\nmailbox = anna\n", "[domain:shop] domains", "names no domain")
        self.refused("[domain:shop]\ndomains = example.net\n", "example.net is not ours")
        self.refused(_SHOP + "[domain:two]\ndomains = example.org\n", "stands in [domain:shop] already")

    def test_wrong_targets(self) -> None:
        """A domain has a mailbox or a catch-all, and these are names or addresses."""
        self.refused(_SHOP + "mailbox = anna\ncatch_all = anna\n", "remove one of the two")
        for text in ("a b", "|cat", "FILE:x", "<a@example.org>", "a,b"):
            self.refused(_SHOP + f"mailbox = {text}\n", "[domain:shop] mailbox", "neither the name of an account")

"""What the sections of lists in the DNS must be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.dnsbl_rules import MAX_LISTS, MAX_TEXT_OCTETS
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.schema import Settings
from tests.support.configuration import write_config


class DNSBLTests(SynchronousTestCase):
    """``[dnsbl:NAME]``."""

    def accepted(self, text: str) -> Settings:
        """What is loaded."""
        return load(write_config(self, text))

    def refused(self, text: str, *parts: str) -> None:
        """One problem, whose text has these parts."""
        error = self.assertRaises(ConfigError, load, write_config(self, text))
        self.assertEqual(len(error.problems), 1, str(error))
        for part in parts:
            self.assertIn(part, str(error))

    def test_accepted(self) -> None:
        """Lists are kept in the order of the file."""
        settings = self.accepted(
            "[dnsbl:zen]\nzone = zen.spamhaus.org\n[dnsbl:all]\nzone = list.example.\nkind = whitelist\nlookup = domain\n"
            "answers = 127.0.0.2-127.0.0.9, 127.0.1.2\n[dnsbl:a]\nzone = a.example\naction = redirect\n"
            "redirect_to = spam@example.org\nheader = X-Spam: yes\n"
        )
        self.assertEqual(list(settings.dnsbl), ["zen", "all", "a"])

    def test_zone(self) -> None:
        """A list needs a domain."""
        self.refused("[dnsbl:a]\n", "[dnsbl:a] zone:", "names no list")
        self.refused("[dnsbl:a]\nzone = http://list.example/\n", ":2: [dnsbl:a] zone:", "not a domain name")

    def test_answers(self) -> None:
        """Answers are those that a list gives."""
        for text in ("some", "192.0.2.1", "127.0.0.2-127.255.255.254"):
            self.refused(f"[dnsbl:a]\nzone = a.example\nanswers = {text}\n", ":3: [dnsbl:a] answers:", "any or normal")

    def test_text(self) -> None:
        """A text fits into a reply."""
        self.accepted(f"[dnsbl:a]\nzone = a.example\ntext = {'x' * MAX_TEXT_OCTETS}\n")
        for text in ("x" * (MAX_TEXT_OCTETS + 1), "n\u00f3"):
            self.refused(f"[dnsbl:a]\nzone = a.example\ntext = {text}\n", ":3: [dnsbl:a] text:")

    def test_header(self) -> None:
        """A header has a name and a text."""
        for text in ("X-Spam", "X Spam: yes", ": yes", "X-Spam:yes", "X-Spam: y\u00e9s", "X-Spam: " + "x" * 900):
            self.refused(f"[dnsbl:a]\nzone = a.example\nheader = {text}\n", ":3: [dnsbl:a] header:", "is not a header")

    def test_redirect(self) -> None:
        """Who gets redirected mail is an address, and stands there only where it is used."""
        self.refused("[dnsbl:a]\nzone = a.example\naction = redirect\n", "redirect_to", "needs somebody")
        self.refused("[dnsbl:a]\nzone = a.example\naction = redirect\nredirect_to = bob\n", "needs somebody")
        self.refused("[dnsbl:a]\nzone = a.example\nredirect_to = bob@example.org\n", "is for action = redirect")
        self.accepted("[dnsbl:a]\nzone = a.example\nkind = whitelist\naction = redirect\n")

    def test_number(self) -> None:
        """There are only so many lists."""
        lists = [f"[dnsbl:n{number}]\nzone = n{number}.example\n" for number in range(MAX_LISTS + 2)]
        self.accepted("".join(lists[:MAX_LISTS]))
        self.refused("".join(lists), f"[dnsbl:n{MAX_LISTS}]", "one list too many")

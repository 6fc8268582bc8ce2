"""Tests of what an entry of connection control may give: exemption from limits and from filters, and a transcript."""

from __future__ import annotations

from hermes.config.loader import load
from tests.config.test_access import AccessTestCase
from tests.support.configuration import write_config

_OFFICE = "[access:office]\naddresses = 192.0.2.0/24\n"

RIGHTS = ("relay", "exempt", "unfiltered", "log", "login_in_clear")


class RightsTests(AccessTestCase):
    """Each right stands alone."""

    def test_apart(self) -> None:
        """Limits and filters are two things: who is exempt from the one is not from the other, and log is neither."""
        for key in RIGHTS[1:]:
            entry = load(write_config(self, f"{_OFFICE}{key} = yes\n")).access["office"]
            self.assertEqual([name for name in RIGHTS if getattr(entry, name)], [key])

    def test_refused_have_none(self) -> None:
        """Who is refused has no mail to be filtered and no session to be written down."""
        for key, word in (("unfiltered", "rights"), ("login_in_clear", "rights"), ("log", "no session")):
            self.refused_once(f"{_OFFICE}action = refuse\n{key} = yes\n", f"[access:office] {key}:", word)

    def test_filters_are_for_smtp(self) -> None:
        """Filters are a matter of smtp; transcripts are kept at every server."""
        self.refused_once(f"{_OFFICE}servers = pop3\nunfiltered = yes\n", "[access:office] unfiltered:", "smtp")
        load(write_config(self, f"{_OFFICE}servers = pop3\nlog = yes\n"))
        self.refused_once(f"{_OFFICE}servers = poppass\nlog = yes\n", "[access:office] log:", "smtp and pop3")

    def test_contradictions(self) -> None:
        """The same range twice, once with and once without, is a contradiction."""
        for key in ("unfiltered", "log", "login_in_clear"):
            self.refused_once(f"{_OFFICE}[access:again]\naddresses = 192.0.2.0/24\n{key} = yes\n", "says otherwise")

    def test_logins_in_the_clear(self) -> None:
        """They are a matter of smtp and pop3, and of networks that one can name: never of everybody."""
        load(write_config(self, f"{_OFFICE}servers = pop3\nlogin_in_clear = yes\n"))
        self.refused_once(f"{_OFFICE}servers = finger\nlogin_in_clear = yes\n", "login_in_clear:", "smtp and pop3")
        self.refused_once("[access:all]\naddresses = 0.0.0.0/0\nlogin_in_clear = yes\n", "login_in_clear:", "everybody")

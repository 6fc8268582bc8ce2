"""Which smart host takes a message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.queue.smarthost_choice import SmarthostRule, choose

RULES = (
    SmarthostRule("both", senders=("sales@example.org",), recipients=("example.com",)),
    SmarthostRule("sender", senders=("sales@example.org", "*.example.org")),
    SmarthostRule("account", accounts=("Printer", "fax")),
    SmarthostRule("recipient", recipients=("example.net", "*.example.net")),
)


class ChoiceTests(SynchronousTestCase):
    """The first whose conditions all hold."""

    def test_choice(self) -> None:
        """All conditions of a host have to hold, in the order of the hosts; a host is not chosen by what it does not ask."""
        for recipient, sender, account, name in (
            ("x@example.com", "sales@example.org", "", "both"),
            ("x@example.info", "sales@example.org", "", "sender"),
            ("x@example.com", "joe@a.example.org", "", "sender"),
            ("x@example.com", "joe@example.org", "PRINTER", "account"),
            ("x@example.net", "joe@example.org", "fax", "account"),
            ("x@a.example.net", "joe@example.org", "joe", "recipient"),
            ("x@example.net", "", "", "recipient"),
            ("x@example.com", "", "", ""),
            ("x@example.com", "joe@example.org", "joe", ""),
        ):
            self.assertEqual(choose(RULES, recipient, sender, account), name)

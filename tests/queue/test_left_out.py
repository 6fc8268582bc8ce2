"""Mail to a group of a directory service some of whose members are disabled: no report, and the trace says who was left out."""

from __future__ import annotations

from typing_extensions import override

from hermes.core.account import Account
from hermes.core.event import Kind
from hermes.directory.accounts import Group, Record
from hermes.queue.relay import RelayManager
from tests.queue.test_expansion import ExpandingSite, ExpansionTestCase
from tests.support.asked_source import AskedSource


class GroupSite(ExpandingSite):
    """A site with a group of a directory service."""

    @override
    def make_manager(self) -> RelayManager:
        """Off is disabled, and in the team."""
        people = [Account(name, (), disabled=name == "off") for name in ("ann", "bob", "off", "postmaster")]
        members = ("ann@example.org", "off@example.org", "bob@example.org")
        self.asked = AskedSource(*map(Record, people), groups={"team@example.org": Group("ldap:acme cn=team", members)})
        self.people = self.asked  # type: ignore[assignment]
        return super().make_manager()


class LeftOutTests(ExpansionTestCase):
    """A message to the team."""

    @override
    def make(self, srs: bool = True) -> None:
        """Make and start the site, without aliases."""
        self.site = GroupSite("", srs)
        self.spool = self.site.spool
        self.site.manager.start()

    def test_no_report(self) -> None:
        """The others get it, nobody hears of it, and the trace names who did not, once for the message."""
        queue_id = self.send("team@example.org")
        self.assertEqual(self.delivered(), [("ann", "ann@example.org"), ("bob", "bob@example.org")])
        self.assertEqual(self.spool.reports, [])
        self.assertEqual(self.events(queue_id, Kind.FAILED), [])
        (expanded,) = self.events(queue_id, Kind.EXPANDED)
        self.assertEqual(str(expanded.facts["reason"]).count("off@example.org is left out"), 1)
        self.assertEqual(self.spool.messages, {})

    def test_disabled_meanwhile(self) -> None:
        """Mail that was taken for a group of whom nobody is left is not lost: its sender hears of it."""
        way = "expand:team@example.org"
        self.site.asked.groups["team@example.org"] = Group("ldap:acme cn=team", ("off@example.org",))
        message = self.site.message("team@example.org", sender="sender@example.com")
        for stored in (message, self.spool.messages[message.queue_id]):
            stored.recipients[0].destination = way
        self.site.manager.accepted(message)
        (report,) = self.spool.reports
        self.assertEqual(report.envelope.recipients[0].address, "sender@example.com")
        self.assertEqual(self.spool.messages.keys() & {message.queue_id}, set())

"""Who is told what: reports to senders and to the postmaster (RFC 3461, RFC 5321 4.5.5 and 6.1)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.config.sections.reports import ReportsSettings
from hermes.core.envelope import BodyType, Recipient, TLSNeed
from hermes.core.event import Kind
from hermes.core.message import QueuedMessage
from hermes.queue.reporting import Reporting
from hermes.queue.reports import MAX_RETURNED_OCTETS
from tests.support.queue_site import DEFERRED, FAILED, OCTETS, RELAYED, Site
from tests.support.queue_spool import PREFIX


def to(address: str, *notify: str, original: str | None = None) -> Recipient:
    """A recipient with a NOTIFY parameter."""
    return Recipient(address, frozenset(notify), original)


def read(report: QueuedMessage) -> EmailMessage:
    """A report as a mail program reads it."""
    octets = (report.content.data or b"")[report.content.prefix_octets :]
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def parts(report: QueuedMessage) -> list[str]:
    """The types of a report's parts."""
    return [part.get_content_type() for part in read(report).iter_parts()]


def actions(report: QueuedMessage) -> list[tuple[str, str]]:
    """Final recipient and action of each group of fields."""
    status = list(read(report).iter_parts())[1].get_payload()
    assert isinstance(status, list)
    groups = [group for group in status[1:] if isinstance(group, Message)]
    return [(str(group["Final-Recipient"]), str(group["Action"])) for group in groups]


class FailureTests(SynchronousTestCase):
    """Failures are reported to the sender at once."""

    def setUp(self) -> None:
        """A site where example.net refuses everything; the reports stay in the queue to be looked at."""
        self.site = Site()
        self.site.direct.default = FAILED
        self.site.local.hangs = lambda next_hop: next_hop == "a"
        self.site.manager.start()

    @property
    def reports(self) -> list[QueuedMessage]:
        """The reports that were queued."""
        return self.site.spool.reports

    def test_envelope(self) -> None:
        """A report comes from the null sender, goes to the reverse-path, and asks for no report itself (RFC 3461 6.1)."""
        self.site.accept("x@example.net")
        (report,) = self.reports
        self.assertEqual(report.envelope.reverse_path, "")
        self.assertEqual(report.envelope.recipients, (Recipient("a@example.org", frozenset({"NEVER"})),))
        self.assertEqual((report.envelope.body, report.envelope.smtputf8), (BodyType.SEVEN_BIT, False))
        self.assertEqual(report.recipients[0].destination, "local:a")

    def test_sent_on_its_way(self) -> None:
        """A report is delivered at once, like any fresh mail."""
        self.site.accept("x@example.net")
        self.assertEqual([each.next_hop for each in self.site.local.attempts], ["a"])
        self.assertIn(b"multipart/report", self.site.local.attempts[0].message.content.data or b"")

    def test_one_report_for_one_delivery(self) -> None:
        """Recipients that fail together are reported together; the trace names the report."""
        queue_id = self.site.accept("x@example.net", "y@example.net")
        (report,) = self.reports
        self.assertEqual(actions(report), [("rfc822; x@example.net", "failed"), ("rfc822; y@example.net", "failed")])
        returned = self.site.spool.events[-1]
        self.assertEqual((returned.kind, returned.queue_id), (Kind.RETURNED, queue_id))
        self.assertEqual(returned.address, "a@example.org")
        self.assertEqual(returned.facts, {"report": report.queue_id, "action": "failed", "recipients": 2})

    def test_notify(self) -> None:
        """NOTIFY decides who is reported: without FAILURE, nobody (RFC 3461 5.2.6)."""
        self.site.accept(
            to("never@example.net", "NEVER"),
            to("success@example.net", "SUCCESS", "DELAY"),
            to("failure@example.net", "FAILURE", original="rfc822;F@example.com"),
            Recipient("unsaid@example.net"),
        )
        (report,) = self.reports
        self.assertEqual(
            actions(report),
            [("rfc822; failure@example.net", "failed"), ("rfc822; unsaid@example.net", "failed")],
        )
        self.assertIn(b"Original-Recipient: rfc822; F@example.com\n", report.content.data or b"")

    def test_all_said_never(self) -> None:
        """When nobody may be told, there is no report, and the message is gone all the same."""
        self.site.accept(to("x@example.net", "NEVER"))
        self.assertEqual((self.reports, self.site.spool.messages), ([], {}))

    def test_null_sender(self) -> None:
        """Nothing is ever reported to the null sender (RFC 3461 5.2)."""
        self.site.accept(to("x@example.net", "FAILURE", "SUCCESS", "DELAY"), sender="")
        self.assertEqual(self.reports, [])

    def test_bounced_report(self) -> None:
        """A report that fails makes no further report."""
        self.site.accept("x@example.net", sender="stranger@example.com")
        self.assertEqual(len(self.reports), 1)
        self.assertEqual(self.site.spool.messages, {})

    def test_original_is_returned(self) -> None:
        """A small message goes back whole, without the line that Hermes put before it."""
        self.site.accept("x@example.net")
        self.assertEqual(parts(self.reports[0])[2], "message/rfc822")
        octets = self.reports[0].content.data or b""
        self.assertIn(OCTETS, octets)
        self.assertEqual(octets.count(PREFIX), 1)

    def test_only_the_header_was_asked_for(self) -> None:
        """RET=HDRS gives the header, RET=FULL and nothing the message (RFC 3461 4.3, RFC 6522 3)."""
        for ret, kind in (("HDRS", "text/rfc822-headers"), ("FULL", "message/rfc822"), (None, "message/rfc822")):
            self.site.accept("x@example.net", ret=ret)
            self.assertEqual(parts(self.reports[-1])[2], kind)

    def test_tls_was_required(self) -> None:
        """The report about a message with REQUIRETLS asks for it too, and has the header alone (RFC 8689 5)."""
        self.site.accept("x@example.net", ret="FULL", tls=TLSNeed.REQUIRED)
        self.assertIs(self.reports[0].envelope.tls, TLSNeed.REQUIRED)
        self.assertEqual(parts(self.reports[0])[2], "text/rfc822-headers")

    def test_large_message(self) -> None:
        """Up to the limit a message is returned whole; above it, its header."""
        for size, kind in ((-1, "message/rfc822"), (0, "message/rfc822"), (1, "text/rfc822-headers")):
            lines = b"Subject: x\n\n" + b"y" * 63 + b"\n"
            octets = lines + b"z\n" * ((MAX_RETURNED_OCTETS - len(lines)) // 2)
            octets = octets[: MAX_RETURNED_OCTETS + size] if size < 1 else octets + b"\n"
            self.assertEqual(len(octets), MAX_RETURNED_OCTETS + size)
            self.site.accept("x@example.net", octets=octets)
            self.assertEqual(parts(self.reports[-1])[2], kind)

    def test_eight_bit_original(self) -> None:
        """A report that returns 8-bit octets is marked as such, so that the next server is asked for 8BITMIME."""
        self.site.accept("x@example.net", octets="Subject: x\n\nGrüße\n".encode())
        self.assertIs(self.reports[0].envelope.body, BodyType.EIGHT_BIT)

    def test_original_cannot_be_read(self) -> None:
        """The report goes out without the original when that cannot be read any more."""
        self.site.reader_faults.append(OSError("input/output error"))
        self.site.accept("x@example.net")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(parts(self.reports[0])[2], "text/rfc822-headers")

    def test_way_of_the_report_is_not_known(self) -> None:
        """When the directory cannot say where the sender is, the report is queued all the same and routed later."""
        self.site.direct.hangs = lambda _: True
        self.site.accept("x@example.net")
        self.site.directory.fault = RuntimeError("the directory is down")
        self.site.direct.attempts[0].answer(FAILED)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        (report,) = self.reports
        self.assertEqual(self.site.spool.recipient(report.queue_id).attempts, 1)
        self.site.directory.fault = None
        self.site.advance(400)
        self.assertEqual([each.next_hop for each in self.site.local.attempts], ["a"])

    def test_report_cannot_be_written(self) -> None:
        """A fault in writing the report does not lose the message: the failure waits, the success counts."""
        self.site.direct.outcomes["example.net"] = [RELAYED, FAILED, DEFERRED]

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        self.patch(type(self.site.manager._settler._reporter), "reports", broken)
        queue_id = self.site.accept("x@example.net", "y@example.net", "z@example.net")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([each.ordinal for each in self.site.spool.messages[queue_id].recipients], [1, 2])
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.RELAYED, Kind.DEFERRED, Kind.DEFERRED])

    def test_trace_of_the_report_is_lost(self) -> None:
        """When the fact about the report cannot be stored, the report goes out all the same."""
        self.site.spool.faults["record"] = [OSError("disk full")]
        self.site.accept("x@example.net")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual([each.next_hop for each in self.site.local.attempts], ["a"])
        self.assertEqual(self.site.active, 1)

    def test_reports_have_ids_of_their_own(self) -> None:
        """Two reports about one message at the same moment have different Message-IDs."""
        self.site.accept("x@example.net", "y@example.com")
        self.assertEqual(len({read(report)["Message-ID"] for report in self.reports}), 2)


class ExpiryAndDelayTests(SynchronousTestCase):
    """Delays are told once for each configured age, and expiry as a failure."""

    def setUp(self) -> None:
        """Two warnings, after one and two hours; expiry after three."""
        self.site = Site(QueueSettings(retry=(600,), expire=3 * 3600, delay_warning=(3600, 7200)))
        self.site.direct.default = DEFERRED
        self.site.manager.start()

    def kinds_of_reports(self) -> list[list[tuple[str, str]]]:
        """What each report said."""
        return [actions(report) for report in self.site.spool.reports]

    def test_each_age_once(self) -> None:
        """One warning after each age, then the failure; all with the last words of the server."""
        self.site.accept("x@example.net")
        self.site.advance(3500, steps=350)
        self.assertEqual(self.site.spool.reports, [])
        self.site.advance(3 * 3600, steps=1000)
        self.assertEqual([each[0][1] for each in self.kinds_of_reports()], ["delayed", "delayed", "failed"])
        self.assertEqual(self.site.spool.messages, {})
        last = self.site.spool.reports[-1].content.data or b""
        self.assertIn(b"Diagnostic-Code: smtp; 451 4.3.2 Busy\n", last)
        self.assertIn(b"It was tried again and again", last)
        self.assertIn(b"Will-Retry-Until:", self.site.spool.reports[0].content.data or b"")

    def test_notify(self) -> None:
        """Without DELAY in NOTIFY there is no warning (RFC 3461 5.2.5), nor for the null sender."""
        self.site.accept(to("x@example.net", "FAILURE", "SUCCESS"), to("y@example.net", "DELAY"))
        self.site.accept("z@example.net", sender="")
        self.site.advance(4500, steps=450)
        self.assertEqual(self.kinds_of_reports(), [[("rfc822; y@example.net", "delayed")]])

    def test_warning_survives_a_restart(self) -> None:
        """A warning that was sent is not sent again by the next run."""
        self.site.accept("x@example.net")
        self.site.advance(4500, steps=450)
        self.assertEqual(len(self.site.spool.reports), 1)
        self.successResultOf(self.site.manager.stop())
        self.site.manager = self.site.make_manager()
        self.site.manager.start()
        self.site.advance(1500, steps=150)
        self.assertEqual(len(self.site.spool.reports), 1)


class SuccessTests(SynchronousTestCase):
    """Success is reported when it was asked for, and by nobody twice."""

    def setUp(self) -> None:
        """A started site."""
        self.site = Site()
        self.site.manager.start()

    def test_delivered(self) -> None:
        """A message in a mailbox here is "delivered" (RFC 3461 5.2.3); only its header goes back."""
        self.site.accept(to("bob@example.org", "SUCCESS"), to("carol@example.org", "FAILURE"))
        (report,) = self.site.spool.reports
        self.assertEqual(actions(report), [("rfc822; bob@example.org", "delivered")])
        self.assertEqual(parts(report)[2], "text/rfc822-headers")

    def test_relayed_to_a_server_without_dsn(self) -> None:
        """A server that cannot report itself gets the message "relayed" (RFC 3461 5.2.2 b)."""
        self.site.accept(to("x@example.net", "SUCCESS"), Recipient("y@example.net"))
        self.assertEqual(actions(self.site.spool.reports[0]), [("rfc822; x@example.net", "relayed")])

    def test_relayed_to_a_server_with_dsn(self) -> None:
        """A server that took the request over reports itself (RFC 3461 5.2.1)."""
        self.site.direct.default = attrs.evolve(RELAYED, dsn_passed=True)
        self.site.accept(to("x@example.net", "SUCCESS"))
        self.assertEqual(self.site.spool.reports, [])

    def test_null_sender(self) -> None:
        """The null sender is told nothing, whatever it asked for."""
        self.site.accept(to("bob@example.org", "SUCCESS"), sender="")
        self.assertEqual(self.site.spool.reports, [])


class PostmasterTests(SynchronousTestCase):
    """Copies for the postmaster, and what has nobody else to be told to."""

    def site(self, *, copy: bool = True, double: bool = True, postmaster: str = "postmaster@example.org") -> Site:
        """A site that refuses everything for other domains."""
        reporting = Reporting(ReportsSettings(double_bounces=double))
        made = Site(QueueSettings(postmaster_copy=copy), postmaster=postmaster, reporting=reporting)
        made.direct.default = FAILED
        made.manager.start()
        return made

    def receivers(self, made: Site) -> list[str]:
        """To whom reports went."""
        return [report.envelope.recipients[0].address for report in made.spool.reports]

    def test_copy_of_a_failure(self) -> None:
        """With the setting, the postmaster gets a copy of each failure, with the header alone."""
        made = self.site()
        made.accept("x@example.net")
        self.assertEqual(self.receivers(made), ["a@example.org", "postmaster@example.org"])
        copy = made.spool.reports[1]
        self.assertEqual(copy.envelope.reverse_path, "")
        self.assertEqual(parts(copy)[2], "text/rfc822-headers")
        self.assertIn("Copy for the postmaster", str(read(copy)["Subject"]))

    def test_no_copy(self) -> None:
        """Without the settings, or without a postmaster, nobody but the sender is told."""
        for made in (self.site(copy=False, double=False), self.site(postmaster="")):
            made.accept("x@example.net")
            made.accept("x@example.net", sender="")
            self.assertEqual(self.receivers(made), ["a@example.org"])

    def test_double_bounce(self) -> None:
        """A report that cannot be delivered to its sender goes to the postmaster (RFC 5321 6.1)."""
        made = self.site()
        made.accept("x@example.net", sender="stranger@example.com")
        self.assertEqual(
            self.receivers(made), ["stranger@example.com", "postmaster@example.org", "postmaster@example.org"]
        )
        double = made.spool.reports[2]
        self.assertIn(b"the null sender", double.content.data or b"")
        self.assertEqual(actions(double), [("rfc822; stranger@example.com", "failed")])
        self.assertEqual(made.spool.messages, {})

    def test_double_bounce_alone(self) -> None:
        """Double bounces come to the postmaster also without copies of other failures, unless that is switched off."""
        for double, receivers in ((True, ["s@example.com", "postmaster@example.org"]), (False, ["s@example.com"])):
            made = self.site(copy=False, double=double)
            made.accept("x@example.net", sender="s@example.com")
            self.assertEqual(self.receivers(made), receivers)

    def test_failure_nobody_wants_to_hear_of(self) -> None:
        """With copies, the postmaster hears of failures of which the sender does not want to hear (RFC 3461 5.2.6 b)."""
        for copy, receivers in ((True, ["postmaster@example.org"]), (False, [])):
            made = self.site(copy=copy)
            made.accept(to("x@example.net", "NEVER"))
            self.assertEqual(self.receivers(made), receivers)

    def test_postmaster_stands_for_others(self) -> None:
        """What was for the postmaster and was sent on elsewhere does not come back when it fails there."""
        made = self.site()
        made.accept(Recipient("admin@example.net", None, "rfc822;Postmaster@example.org"), sender="")
        self.assertEqual(self.receivers(made), [])
        made.accept(Recipient("admin@example.net", None, "rfc822;other@example.org"), sender="")
        self.assertEqual(self.receivers(made), ["postmaster@example.org"])

    def test_postmaster_cannot_be_reached(self) -> None:
        """What cannot be delivered to the postmaster is not sent to the postmaster: mail does not go round."""
        made = self.site(postmaster="Admin@example.net")
        made.accept("x@example.com")
        self.assertEqual(self.receivers(made), ["a@example.org", "Admin@example.net"])
        made.accept("admin@example.net", sender="")
        self.assertEqual(len(made.spool.reports), 2)
        self.assertEqual(made.spool.messages, {})

    def test_postmaster_as_sender(self) -> None:
        """A postmaster whose own message fails is told once."""
        made = self.site()
        made.accept("x@example.net", sender="Postmaster@example.org")
        self.assertEqual(self.receivers(made), ["Postmaster@example.org"])

    def test_delays_and_success_are_not_copied(self) -> None:
        """Only failures interest the postmaster."""
        made = self.site()
        made.accept(to("bob@example.org", "SUCCESS"))
        self.assertEqual(self.receivers(made), ["a@example.org"])

"""Tests of ``hermes track``: where is my message?"""

from __future__ import annotations

import os
import re
import time
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from hermes.cli.timeline import timeline
from hermes.core.event import Event, Kind
from tests.support.command import CommandTestCase, queue_message, record

_ID = "06G7X5Z4T2QK"
_TLS = "TLSv1.3 TLS_AES_256_GCM_SHA384"
_AT = 1_800_000_000.0


class TrackTests(CommandTestCase):
    """Looking a message up."""

    def test_by_every_key(self) -> None:
        """A message is found by queue id, sender, recipient and Message-ID, in any case."""
        config = self.site()
        message = queue_message(self, config)
        record(
            self, config, Event(_AT + 1, Kind.DEFERRED, message.queue_id, "bob@example.net", facts={"reason": "later"})
        )
        for query in (
            message.queue_id,
            message.queue_id.lower(),
            "anna@example.org",
            "BOB@example.net",
            "<1@example.org>",
        ):
            output = self.run_hermes("track", "-c", config, query).stdout
            self.assertTrue(output.startswith(f"{message.queue_id}  from <anna@example.org>"), query)
            self.assertIn("later", output)

    def test_nothing_found(self) -> None:
        """When nothing is known, that is said, with how long facts are kept, and the exit code is 1."""
        config = self.site("[trace]\nkeep = 7d\n")
        for words in ((), ("--json",)):
            result = self.run_hermes("track", "-c", config, "nobody@example.org", *words, exit_code=1)
            self.assertEqual(result.stdout, "")
            self.assertIn("Nothing is known about nobody@example.org", result.stderr)
            self.assertIn("7d", result.stderr)

    def test_json(self) -> None:
        """As JSON the events are the objects of the mail log."""
        config = self.site()
        message = queue_message(self, config)
        (event,) = self.run_json("track", "-c", config, message.queue_id)
        self.assertEqual(event["at"], "2027-01-15T08:00:00.000Z")
        self.assertEqual(event["event"], "received")
        self.assertEqual(event["id"], message.queue_id)
        self.assertEqual(event["from"], "<anna@example.org>")
        self.assertEqual(event["peer"], "192.0.2.7")

    def test_words_of_strangers(self) -> None:
        """Control characters in what others said do not reach the terminal."""
        config = self.site()
        facts = {"reply": "550 \x1b[2J\x07gone\x9b", "host": "m\x00x"}
        record(self, config, Event(_AT, Kind.FAILED, _ID, "b\x1bob@example.net", "anna@example.org", facts=facts))
        for words in ((), ("--json",)):
            output = self.run_hermes("track", "-c", config, _ID, *words).output
            self.assertEqual(re.findall(r"[^\n\x20-\x7e]", output), [])


class TimelineTests(SynchronousTestCase):
    """Events as people read them."""

    def setUp(self) -> None:
        """Let local time be an hour ahead."""
        self.addCleanup(time.tzset)
        zone = mock.patch.dict(os.environ, {"TZ": "XST-1"})
        zone.start()
        self.addCleanup(zone.stop)
        time.tzset()

    def lines(self, kind: Kind, about: str = "bob@example.net", /, **facts: str | float | bool | None) -> list[str]:
        """The lines of one event, without its heading and the time of day."""
        heading, first, *rest = timeline([Event(_AT, kind, _ID, about, "anna@example.org", facts=facts)])
        self.assertEqual(heading, f"{_ID}  from <anna@example.org>")
        self.assertEqual(first[:31], "    2027-01-15 09:00:00 +0100  ")
        return [first[31:], *(line.strip() for line in rest)]

    def test_received(self) -> None:
        """Reception says from whom, how, with which TLS, as whom, and how much."""
        facts = {"peer": "192.0.2.7", "hello": "client.example.org", "account": "anna", "size_octets": 2048}
        self.assertEqual(
            self.lines(Kind.RECEIVED, "", protocol="ESMTPSA", tls=_TLS, recipients=2, **facts),
            [
                f"received and queued from client.example.org (192.0.2.7) with ESMTPSA over {_TLS} as anna "
                "(2048 octets for 2 recipients)"
            ],
        )
        self.assertEqual(
            self.lines(Kind.RECEIVED, "", peer="192.0.2.7", hello="", protocol="SMTP", tls=None, recipients=1),
            ["received and queued from 192.0.2.7 with SMTP in the clear (for 1 recipient)"],
        )
        self.assertEqual(self.lines(Kind.RECEIVED, recipients=1), ["received and queued (for <bob@example.net>)"])
        self.assertEqual(
            self.lines(Kind.RECEIVED, recipients=3), ["received and queued (for <bob@example.net> and 2 more)"]
        )

    def test_refused(self) -> None:
        """A refusal says what the client was told, why, and by which rule."""
        self.assertEqual(
            self.lines(Kind.REFUSED, peer="192.0.2.7", rule="relay.denied", reason="no login", reply="550 5.7.1 No"),
            [
                "<bob@example.net>: refused from 192.0.2.7",
                "no login",
                "550 5.7.1 No",
                "by the rule relay.denied",
            ],
        )

    def test_attempts(self) -> None:
        """An attempt says with whom, under which TLS, the reply in full, and when the next one is."""
        spoken = {"host": "mx.example.net", "address": "192.0.2.9:25", "tls": _TLS}
        self.assertEqual(
            self.lines(Kind.DEFERRED, **spoken, reply="451 4.7.1 Later", next_attempt_at=_AT + 300, attempt=1),
            [
                f"<bob@example.net>: not delivered yet at mx.example.net (192.0.2.9:25) over {_TLS}",
                "451 4.7.1 Later",
                "next attempt at 2027-01-15 09:05:00 +0100",
                "attempt=1",
            ],
        )
        self.assertEqual(
            self.lines(
                Kind.RELAYED, host="mx.example.net", address="192.0.2.9:25", reply="250 ok", reason="said: 250 ok"
            ),
            ["<bob@example.net>: handed on to mx.example.net (192.0.2.9:25) in the clear", "said: 250 ok"],
        )
        self.assertEqual(
            self.lines(Kind.DEFERRED, reason="connection refused", address="192.0.2.9:25"),
            ["<bob@example.net>: not delivered yet at 192.0.2.9:25", "connection refused"],
        )

    def test_returned_and_read(self) -> None:
        """A report is named by its queue id; a reader by account and address."""
        self.assertEqual(
            self.lines(Kind.RETURNED, "anna@example.org", report="06G7X5Z4T2QM"),
            ["<anna@example.org>: a report went back to the sender", "the report is 06G7X5Z4T2QM"],
        )
        self.assertEqual(
            self.lines(Kind.RETURNED, "postmaster@example.org", report="06G7X5Z4T2QN")[0],
            "<postmaster@example.org>: a report went to the postmaster",
        )
        self.assertEqual(
            self.lines(Kind.RECEIVED, "anna@example.org", protocol="local", size_octets=2048, recipients=1),
            ["written by this server and queued (2048 octets for <anna@example.org>)"],
        )
        self.assertEqual(
            self.lines(Kind.RETRIEVED, "bob", peer="192.0.2.8", service="pop3"),
            ["bob: fetched by a reader from 192.0.2.8", "service=pop3"],
        )

    def test_every_kind_has_words(self) -> None:
        """No event is without words."""
        for kind in Kind:
            self.assertEqual(len(self.lines(kind)), 1)

    def test_nothing_is_hidden(self) -> None:
        """Facts that have no words of their own are shown by name."""
        self.assertEqual(
            self.lines(Kind.HELD, by="administrator", new=True, none=None)[1:], ["by=administrator new=yes"]
        )

    def test_groups(self) -> None:
        """Each message is a paragraph; facts without a message are together, with sender and recipient."""
        refused = Event(_AT, Kind.REFUSED, "", "bob@example.net", "eve@example.com")
        login = Event(
            _AT, Kind.LOGIN, "", "anna", facts={"result": "accepted", "mechanism": "PLAIN", "rule": "default"}
        )
        one, other = (Event(_AT, Kind.HELD, queue_id, message_id="<x@y.test>") for queue_id in (_ID, "06G7X5Z4T2QM"))
        sender = Event(_AT, Kind.REFUSED, "", "", "eve@example.com")
        events = [refused, one, login, sender, other, one]
        lines = [line[31:] if line.startswith(" ") else line for line in timeline(events)]
        self.assertEqual(
            lines,
            [
                "Without a message in the queue:",
                "<eve@example.com> to <bob@example.net>: refused",
                "anna: login accepted by PLAIN",
                "<eve@example.com>: refused",
                "",
                f"{_ID}  Message-ID <x@y.test>",
                "held",
                "held",
                "",
                "06G7X5Z4T2QM  Message-ID <x@y.test>",
                "held",
            ],
        )

"""Tests of ``hermes queue list`` and ``show``, which read a real spool while no server runs."""

from __future__ import annotations

import re
from unittest import mock

from twisted.internet.defer import Deferred

from hermes.core.event import Event, Kind
from hermes.core.message import Postponed
from tests.support.command import CommandTestCase, fill_spool, queue_message


class QueueTests(CommandTestCase):
    """What waits."""

    def test_empty(self) -> None:
        """A queue without messages, or one that was never used, is empty."""
        config = self.site()
        self.assertEqual(self.run_hermes("queue", "list", "-c", config).stdout, "The queue is empty.\n")
        self.assertEqual(self.run_json("queue", "list", "-c", config), [])

    def test_list(self) -> None:
        """Each recipient that waits is a line, with the words of the last failure."""
        config = self.site()
        message = queue_message(self, config, recipients=("bob@example.net", "eve@example.net"))
        self._postpone(config, message.queue_id, "451 4.7.1 come back later")
        result = self.run_hermes("queue", "list", "-c", config)
        header, first, second = result.stdout.splitlines()
        self.assertTrue(header.startswith("ID "))
        self.assertTrue(
            re.match(rf"{message.queue_id} +\S+( \S+)? +20 +<anna@example.org>  <bob@example.net>  queued +3 ", first),
            first,
        )
        self.assertTrue(first.endswith("  451 4.7.1 come back later"), first)
        self.assertIn("<eve@example.net>", second)
        self.assertEqual(result.stderr, "1 message, 2 recipients\n")

    def test_json(self) -> None:
        """As JSON a message has its envelope, how it came in, and each recipient's state."""
        config = self.site()
        message = queue_message(self, config)
        self._postpone(config, message.queue_id, "451 x")
        expected = {
            "id": message.queue_id,
            "accepted_at": "2027-01-15T08:00:00.000Z",
            "from": "anna@example.org",
            "message_id": "<1@example.org>",
            "size_octets": 20,
            "received": {
                "protocol": "ESMTPSA",
                "peer": "192.0.2.7",
                "hello": "client.example.org",
                "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
                "account": "anna",
            },
            "recipients": [
                {
                    "address": "bob@example.net",
                    "destination": "direct:example.net",
                    "state": "queued",
                    "attempts": 3,
                    "next_attempt_at": "2027-01-15T08:10:00.000Z",
                    "last_reason": "451 x",
                }
            ],
        }
        self.assertEqual(self.run_json("queue", "list", "-c", config), [expected])
        self.assertEqual(self.run_json("queue", "show", "-c", config, message.queue_id), [expected])

    def test_show(self) -> None:
        """All that is known about a message is shown, whichever case its id is typed in."""
        config = self.site()
        message = queue_message(self, config)
        self._postpone(config, message.queue_id, "451 4.7.1 come back later")
        output = self.run_hermes("queue", "show", "-c", config, message.queue_id.lower()).stdout
        for part in (
            message.queue_id,
            "<anna@example.org>",
            "<1@example.org>",
            "20 octets",
            "with ESMTPSA from client.example.org (192.0.2.7) over TLSv1.3 TLS_AES_256_GCM_SHA384 as anna",
            "<bob@example.net> by direct:example.net, queued",
            "3 attempts, next one at 2027-01-15",
            "451 4.7.1 come back later",
        ):
            self.assertIn(part, output)

    def test_next_try(self) -> None:
        """What is due within a second is due now."""
        config = self.site()
        self._postpone(config, queue_message(self, config).queue_id, "451 later")
        for before, said in ((61, "in 1m 1s"), (1, "in 1s"), (0.9, "now"), (-5, "now")):
            with mock.patch("time.time", return_value=1_800_000_600.0 - before):
                self.assertIn(f"queued  3      {said:<8}  451", self.run_hermes("queue", "list", "-c", config).stdout)

    def test_held(self) -> None:
        """A held message has no next attempt."""
        config = self.site()
        message = queue_message(self, config)
        event = Event(0.0, Kind.HELD, message.queue_id)
        fill_spool(self, config, lambda spool: [Deferred.fromCoroutine(spool.hold(message.queue_id, event))])
        self.assertIn("held   0      when released", self.run_hermes("queue", "list", "-c", config).stdout)
        self.assertIn("waits to be released", self.run_hermes("queue", "show", "-c", config, message.queue_id).stdout)

    def test_show_what_is_gone(self) -> None:
        """Messages that are not there are named on standard error; those that are there are shown all the same."""
        config = self.site()
        message = queue_message(self, config)
        gone = "0" * 12
        result = self.run_hermes("queue", "show", "-c", config, gone, message.queue_id, exit_code=1)
        self.assertIn(message.queue_id, result.stdout)
        self.assertEqual(result.stderr, f"{gone} is not in the queue; see: hermes track -c {config} {gone}\n")
        self.assertEqual(self.run_json("queue", "show", "-c", config, gone, exit_code=1), [])

    def test_words_of_strangers(self) -> None:
        """Control characters in a reply or an address do not reach the terminal."""
        config = self.site()
        message = queue_message(self, config, sender="a\x1b[31m@example.org")
        self._postpone(config, message.queue_id, "451 \x1b]0;title\x07 \x9b2J")
        for words in (("list",), ("show", message.queue_id), ("list", "--json")):
            output = self.run_hermes("queue", words[0], "-c", config, *words[1:]).output
            self.assertEqual(re.findall(r"[^\n\x20-\x7e]", output), [], words)

    def _postpone(self, config: str, queue_id: str, reason: str) -> None:
        settlement = Postponed(0, 3, 1_800_000_600.0, reason)
        fill_spool(self, config, lambda spool: [Deferred.fromCoroutine(spool.settle(queue_id, [settlement], []))])

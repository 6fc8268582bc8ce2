"""``hermes queue`` for messages that are named by what they have in common."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from twisted.internet.defer import Deferred

from hermes.cli import queue as queue_command
from hermes.core.event import Event, Kind
from hermes.core.identifiers import encode
from hermes.core.order import Action, Order
from hermes.core.selection import MAX_IDS, Selection
from tests.support.command import CommandTestCase, FakeServer, fill_spool, queue_message

NOW = 1_800_000_600.0


class LookTests(CommandTestCase):
    """list, count and shape."""

    def setUp(self) -> None:
        """Two messages, ten minutes old."""
        self.config = self.site()
        self.first = queue_message(self, self.config, recipients=("bob@example.net", "joe@example.com")).queue_id
        # Two spools with one clock would give the same id twice.
        self.second = queue_message(
            self, self.config, sender="zoe@example.org", recipients=("ann@example.com",)
        ).queue_id
        clock = mock.patch("time.time", return_value=NOW)
        clock.start()
        self.addCleanup(clock.stop)

    def test_list(self) -> None:
        """Only the recipients that are meant are listed, of the messages that are."""
        output = self.run_hermes("queue", "list", "-c", self.config, "--to", "example.com").stdout
        self.assertNotIn("bob@", output)
        self.assertIn("joe@", output)
        self.assertIn("ann@", output)
        listed = self.run_json("queue", "list", "-c", self.config, "--from", "zoe@example.org", "--older", "10m")
        self.assertEqual([message["id"] for message in listed], [self.second])
        self.assertEqual(self.run_json("queue", "list", "-c", self.config, self.first)[0]["id"], self.first)
        self.assertEqual(self.run_json("queue", "list", "-c", self.config, "--older", "11m"), [])
        output = self.run_hermes("queue", "list", "-c", self.config, "--state", "held").stdout
        self.assertEqual(output, "Nothing in the queue is like that.\n")

    def test_limit(self) -> None:
        """A table is cut where nobody reads on, and says so; for programs all is printed unless they want less."""
        for limit, rest in (
            ("1", "1 of 2 messages, 3 recipients; --limit 0 shows all"),
            ("2", "2 messages, 3 recipients"),
        ):
            result = self.run_hermes("queue", "list", "-c", self.config, "--limit", limit)
            self.assertEqual(result.stderr.strip(), rest)
        with mock.patch.object(queue_command, "TABLE_MESSAGES", 1):
            self.assertNotIn("ann@", self.run_hermes("queue", "list", "-c", self.config).stdout)
            self.assertIn("ann@", self.run_hermes("queue", "list", "-c", self.config, "--limit", "0").stdout)
            self.assertEqual(len(self.run_json("queue", "list", "-c", self.config)), 2)
        self.assertEqual(len(self.run_json("queue", "list", "-c", self.config, "--limit", "1")), 1)

    def test_count(self) -> None:
        """Messages, recipients, sizes and the oldest."""
        output = self.run_hermes("queue", "count", "-c", self.config).stdout
        self.assertEqual(output, "2 messages, 3 recipients, 40, the oldest 10m old\n")
        event = Event(0.0, Kind.HELD, self.second)
        fill_spool(self, self.config, lambda spool: [Deferred.fromCoroutine(spool.hold(self.second, event))])
        output = self.run_hermes("queue", "count", "-c", self.config, "--to", "example.com").stdout
        self.assertEqual(output, "2 messages, 2 recipients, 1 held, 40, the oldest 10m old\n")
        self.assertEqual(
            self.run_json("queue", "count", "-c", self.config, "--state", "held"),
            {"messages": 1, "recipients": 1, "held": 1, "size_octets": 20, "oldest_at": "2027-01-15T08:00:00.000Z"},
        )
        nothing = self.run_json("queue", "count", "-c", self.config, "--account", "nobody")
        self.assertEqual((nothing["messages"], nothing["oldest_at"]), (0, None))
        self.assertEqual(
            self.run_hermes("queue", "count", "-c", self.config, "--account", "nobody").stdout,
            "0 messages, 0 recipients\n",
        )

    def test_shape(self) -> None:
        """A line for each domain, the fullest first, below the sum of all."""
        result = self.run_hermes("queue", "shape", "-c", self.config, "--by", "domain")
        lines = [line.split() for line in result.stdout.splitlines()]
        self.assertEqual(lines[0], ["DOMAIN", "ALL", "5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280+"])
        self.assertEqual(
            [line[:5] for line in lines[1:]],
            [
                ["TOTAL", "3", "0", "0", "3"],
                ["example.com", "2", "0", "0", "2"],
                ["example.net", "1", "0", "0", "1"],
            ],
        )
        result = self.run_hermes("queue", "shape", "-c", self.config, "--by", "domain", "--lines", "1")
        self.assertEqual(result.stderr, "1 of 2 lines; --lines 0 shows all\n")
        (one,) = self.run_json("queue", "shape", "-c", self.config)
        self.assertEqual((one["destination"], one["recipients"]), ("direct:example.net", 3))
        self.assertEqual(one["ages"][2], {"below_seconds": 1200, "recipients": 3})
        self.assertEqual(one["ages"][-1], {"below_seconds": None, "recipients": 0})
        output = self.run_hermes("queue", "shape", "-c", self.config, "--to", "nobody.example").stdout
        self.assertEqual(output, "Nothing in the queue is like that.\n")
        self.assertEqual(self.run_hermes("queue", "shape", "-c", self.site()).stdout, "The queue is empty.\n")

    def test_orders_are_shown(self) -> None:
        """What an administrator has said of a recipient is told to programs."""
        for order in (
            Order(Action.EXPIRE, Selection(), expires_at=NOW),
            Order(Action.REROUTE, Selection(to="bob@example.net"), destination="smarthost:o"),
        ):
            fill_spool(
                self,
                self.config,
                lambda spool, order=order: [Deferred.fromCoroutine(spool.change(order, Event(0.0, Kind.HELD)))],
            )
        bob, joe = self.run_json("queue", "list", "-c", self.config)[0]["recipients"]
        self.assertEqual((bob["rerouted"], bob["expires_at"]), (True, "2027-01-15T08:10:00.000Z"))
        self.assertNotIn("rerouted", joe)

    def test_wrong_words(self) -> None:
        """What cannot be meant is a wrong use."""
        for words, said in (
            (("--to", "*@*"), "names no addresses"),
            (("--older", "soon"), "--older: 'soon' is not a time"),
            (("--state", "lost"), "'lost' is not one of"),
        ):
            result = self.run_hermes("queue", "count", "-c", self.config, *words, exit_code=2)
            self.assertIn(said, result.stderr)


class OrderTests(CommandTestCase):
    """What is asked of the server."""

    def asked(self, *words: str, answers: int = 1) -> list[dict[str, object]]:
        """Run a command on a server that says that it was two messages; the arguments of the questions."""
        config = self.site()
        answer = {"ok": True, "result": {"messages": 2, "recipients": 3}}
        server = FakeServer(self, config, *[answer] * answers)
        with mock.patch("time.time", return_value=NOW):
            self.said = self.run_hermes("queue", words[0], "-c", config, *words[1:]).stdout
        self.assertEqual({question["command"] for question in server.questions}, {"queue.order"})
        return [question["arguments"] for question in server.questions]

    def test_orders(self) -> None:
        """Each word becomes an order, and its end is told."""
        to = {"to": "example.net"}
        for words, more, said in (
            (("retry",), {}, "will be tried now"),
            (("hold",), {}, "held until released"),
            (("release",), {}, "released"),
            (("remove",), {}, "removed; nobody was told"),
            (("return",), {}, "returned to the senders"),
            (("reroute", "--via", "direct"), {"way": "direct"}, "rerouted"),
            (("expire", "--in", "1h"), {"expires_at": NOW + 3600}, "tried for 1h more"),
            (("expire", "--as-configured"), {"expires_at": None}, "as configured"),
        ):
            (asked,) = self.asked(*words, "--to", "example.net")
            self.assertEqual(asked, {"action": words[0], "selection": to, **more})
            self.assertEqual(self.said, f"2 messages, 3 recipients: {said}\n")

    def test_all(self) -> None:
        """Everything is meant only when that is said."""
        (asked,) = self.asked("hold", "--all")
        self.assertEqual(asked["selection"], {})
        config = self.site()
        for words in (("hold",), ("remove",), ("reroute", "--via", "auto"), ("expire", "--in", "1h")):
            result = self.run_hermes("queue", *words, "-c", config, exit_code=2)
            self.assertIn("Say which messages", result.stderr)
        for words in (
            ("hold", "--all", "--to", "x.example"),
            ("remove", "--all", encode(1)),
            ("retry", "--all", encode(1)),
        ):
            self.assertIn("not both", self.run_hermes("queue", *words, "-c", config, exit_code=2).stderr)
        for words in (("expire", "--all"), ("expire", "--all", "--in", "1h", "--as-configured")):
            self.assertIn("Say --in TIME", self.run_hermes("queue", *words, "-c", config, exit_code=2).stderr)

    def test_pauses(self) -> None:
        """What is paused is listed from the disk, and shown with the queue; only that can be resumed."""
        (asked,) = self.asked("pause", "example.net")
        self.assertEqual(asked, {"action": "pause", "selection": {"what": "example.net"}})
        self.assertEqual(self.said, "example.net is paused until it is resumed: 2 messages, 3 recipients\n")
        (asked,) = self.asked("drain", "example.net")
        self.assertEqual(asked, {"action": "drain", "selection": {"what": "example.net"}})
        self.assertEqual(self.said, "2 messages, 3 recipients for example.net will be tried now\n")
        config = self.site()
        self.assertEqual(self.run_hermes("queue", "pause", "-c", config).stdout, "Nothing is paused.\n")
        result = self.run_hermes("queue", "resume", "-c", config, "example.net", exit_code=1)
        self.assertIn("is not paused", result.stderr)
        path = Path(config).parent / "data" / "pauses.json"
        path.write_text('{"example.net": 1800000000.0}')
        self.assertIn("example.net", self.run_hermes("queue", "pause", "-c", config).stdout)
        (known,) = self.run_json("queue", "pause", "-c", config)
        self.assertEqual(known, {"what": "example.net", "since": "2027-01-15T08:00:00.000Z"})
        self.assertIn("paused: example.net, since ", self.run_hermes("queue", "list", "-c", config).stderr)
        FakeServer(self, config, {"ok": True, "result": {"messages": 1, "recipients": 1}})
        said = self.run_hermes("queue", "resume", "-c", config, "example.net").stdout
        self.assertEqual(said, "example.net goes on: 1 message, 1 recipient\n")
        path.write_text("{")
        self.assertIn("damaged", self.run_hermes("queue", "pause", "-c", config, exit_code=1).stderr)

    def test_many_ids(self) -> None:
        """More ids than fit into one line go in several, each with the other criteria."""
        ids = [encode(number) for number in range(MAX_IDS + 1)]
        first, second = self.asked("hold", "--state", "deferred", *ids, answers=2)
        self.assertEqual(first["selection"], {"ids": ids[:-1], "state": "deferred"})
        self.assertEqual(second["selection"], {"ids": ids[-1:], "state": "deferred"})
        self.assertEqual(self.said, "4 messages, 6 recipients: held until released\n")

    def test_nothing(self) -> None:
        """Nothing found is an exit code."""
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": {"messages": 0, "recipients": 0}})
        result = self.run_hermes("queue", "remove", "-c", config, "--reply", "full", exit_code=1)
        self.assertEqual(result.stderr, "Nothing in the queue is like that.\n")

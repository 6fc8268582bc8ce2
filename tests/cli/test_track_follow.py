"""``hermes track --follow``: what happens from now on."""

from __future__ import annotations

import json
from collections.abc import Callable
from unittest import mock

from twisted.internet.defer import Deferred

from hermes.core.event import Event, Kind
from hermes.core.message import Finished
from tests.support.command import CommandTestCase, fill_spool, queue_message, record

_AT = 1_800_000_000.0


class FollowTests(CommandTestCase):
    """Each pause of the command is a moment in which a test lets something happen."""

    def follow(self, *words: str, moments: list[Callable[[], None]]) -> str:
        """Follow; after the last moment somebody presses Ctrl-C. What was printed."""

        def pause(seconds: float) -> None:
            self.assertLessEqual(seconds, 1.0)
            if not moments:
                raise KeyboardInterrupt
            moments.pop(0)()

        with mock.patch("time.sleep", side_effect=pause):
            output = self.run_hermes("track", "--follow", *words).stdout
        self.assertEqual(moments, [])
        return output

    def test_until_it_has_left(self) -> None:
        """What is known is printed, then what is new, once each; with the message the following ends by itself."""
        config = self.site()
        message = queue_message(self, config)

        def deferred() -> None:
            record(
                self,
                config,
                Event(_AT + 1, Kind.DEFERRED, message.queue_id, "bob@example.net", facts={"reason": "later"}),
            )

        def nothing() -> None:
            """Let a moment pass."""

        def delivered() -> None:
            fill_spool(
                self,
                config,
                lambda spool: [
                    Deferred.fromCoroutine(
                        spool.settle(
                            message.queue_id,
                            [Finished(0)],
                            [Event(_AT + 2, Kind.RELAYED, message.queue_id, "bob@example.net")],
                        )
                    )
                ],
            )

        output = self.follow("-c", config, message.queue_id, moments=[deferred, nothing, delivered])
        self.assertEqual(output.count("received and queued"), 1)
        self.assertEqual(output.count("later"), 1)
        self.assertEqual(output.count("handed on"), 1)

    def test_address(self) -> None:
        """An address is followed until somebody presses Ctrl-C; nothing need be known at first; JSON comes line by line."""
        config = self.site()
        output = self.follow("-c", config, "--json", "bob@example.net", moments=[lambda: queue_message(self, config)])
        (line,) = output.splitlines()
        self.assertEqual(json.loads(line)["event"], "received")

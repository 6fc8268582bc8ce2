"""``hermes user recipients``: how many new recipients accounts have had."""

from __future__ import annotations

import json
import time
from pathlib import Path

from twisted.internet.defer import Deferred

from hermes.policy.recipient_store import RecipientStore
from tests.support.command import CommandTestCase
from tests.support.worker import ImmediateWorker


class RecipientsTests(CommandTestCase):
    """A site at which Anna has written to three people, and was refused one."""

    def setUp(self) -> None:
        """Write it down."""
        super().setUp()
        self.config = self.site()
        self.data = Path(self.config).parent / "data"
        self.data.mkdir(exist_ok=True)

    def counted(self) -> None:
        """What the server would have counted."""
        store = RecipientStore(str(self.data / "recipients.sqlite"), ImmediateWorker())
        for each in (b"a", b"b", b"c", b"d"):
            self.successResultOf(Deferred.fromCoroutine(store.judge("anna", each, 3, time.time())))
        self.successResultOf(Deferred.fromCoroutine(store.close()))

    def recipients(self, *words: str, exit_code: int = 0) -> str:
        """What the command says."""
        return self.run_hermes("user", "recipients", "-c", self.config, *words, exit_code=exit_code).output

    def test_shown(self) -> None:
        """All accounts or one, for people and for programs."""
        self.assertIn("Nothing is counted", self.recipients())
        self.counted()
        self.assertRegex(self.recipients(), r"anna\s+3\s+1\s+3")
        self.assertEqual(
            json.loads(self.recipients("Anna", "--json")),
            [{"account": "anna", "new": 3, "refused": 1, "remembered": 3}],
        )
        self.assertEqual(json.loads(self.recipients("bob", "--json")), [])

    def test_cleared(self) -> None:
        """The count alone, or all that is remembered."""
        self.recipients("anna", "--clear", exit_code=1)
        self.counted()
        self.recipients("anna", "--clear")
        self.assertRegex(self.recipients(), r"anna\s+0\s+0\s+3")
        self.recipients("anna", "--forget")
        self.assertIn("Nothing is counted", self.recipients())
        self.recipients("anna", "--clear", exit_code=1)
        self.recipients("--clear", exit_code=2)

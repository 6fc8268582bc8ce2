"""A queue of 100,000 deferred messages: what is asked of it is answered in under a second, and a server starts with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.core.identifiers import encode
from hermes.core.order import KINDS, Action, Order
from hermes.core.selection import Selection
from hermes.core.shape import By
from hermes.spool.bodies import Disk
from hermes.spool.committer import Committer
from hermes.spool.operations import Hold, Release
from hermes.spool.orders import Change
from hermes.spool.reader import SpoolReader
from tests.bench.filled_spool import fill

COUNT = 100_000
NOW = 1_800_000_000.0

#: Seconds of the processor. By itself a machine takes a fifth of a second and less; one whose cores are busy with other work took
#: nearly two for the slowest, and a walk through everything for each message would take minutes.
MAX_SECONDS = 5.0

MAX_START_SECONDS = 6.0
MAX_START_KIBIBYTES = 200 * 1024

#: Opens the spool as the server does, lets a relay manager look at it, and says what that took.
START = """
import json, sys, time
begun = time.process_time()
from twisted.internet.defer import Deferred
from tests.bench.opened_spool import opened
active, held_up = opened(sys.argv[1], float(sys.argv[2]))
# Not ru_maxrss: that begins with the size of the process that started this one.
(peak,) = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(json.dumps([time.process_time() - begun, peak, active]))
"""


class LargeQueueTests(SynchronousTestCase):
    """One queue for all questions: it takes some seconds to make."""

    def test_everything(self) -> None:
        """Listing, filtering, counting and the shape stay under a second each; the start under three, and in 200 MB."""
        directory = os.path.abspath(self.mktemp())
        fill(directory, COUNT, NOW)
        with SpoolReader(directory) as reader:
            self.within("count", lambda: self.assertEqual(reader.counted(Selection()).messages, COUNT))
            for selection, least in (
                (Selection(to="domain7.example"), 300),
                (Selection(sender="*@sender3.example", state="deferred"), 900),
                (Selection(reply="MAILBOX FULL"), 30_000),
                (Selection(accepted_before=NOW - 7200, accepted_after=NOW - 86400), 40_000),
                (Selection(destination="domain7.example"), 300),
                (Selection(state="held", account="anna"), 1900),
            ):
                counted = reader.counted(selection)
                self.assertGreater(counted.messages, least, selection)
                self.within("counting", lambda asked=selection: reader.counted(asked))
                self.within("listing", lambda asked=selection: list(reader.listed(asked, 1000)))
            for by, lines in ((By.DESTINATION, 300), (By.DOMAIN, 300), (By.SENDER, 97)):
                self.within(
                    by.value, lambda by=by, n=lines: self.assertEqual(len(reader.shape(Selection(), by, NOW)), n)
                )
        self.orders(directory)
        command = [sys.executable, "-c", START, directory, str(NOW)]
        root = Path(__file__).parents[2]
        answer = subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)
        seconds, kibibytes, active = json.loads(answer.stdout)
        self.assertEqual(active, 0)
        self.assertLess(seconds, MAX_START_SECONDS)
        self.assertLess(kibibytes, MAX_START_KIBIBYTES)

    def orders(self, directory: str) -> None:
        """One message, one step of many, and all: however large the queue is, each looks only at its own."""
        committer = Committer(directory, Disk())
        committer.open()
        try:
            for kind, operation in (
                (Kind.HELD, Hold),
                (Kind.RELEASED, Release),
            ):
                some = [operation(encode(number), Event(NOW, kind)) for number in range(50)]
                self.within(kind.value, lambda some=some: committer.perform(some))
            ways = (Action.HOLD, Action.RELEASE, Action.RETRY, Action.EXPIRE, Action.REMOVE)
            for action in ways:
                step = Change(Order(action, Selection(to="domain7.example")), Event(NOW, KINDS[action]), "")
                self.within(action.value, lambda step=step: committer.perform([step] * 20))
        finally:
            committer.close()

    def within(self, what: str, question: object) -> None:
        """Ask, and look at the clock."""
        assert callable(question)
        begun = time.process_time()
        question()
        self.assertLess(time.process_time() - begun, MAX_SECONDS, what)

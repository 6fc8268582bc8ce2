"""Full load for as long as it is wanted, beside something else that is measured meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import Load, check_mailbox, send
from bench.process import files_in, wait_until
from bench.site import Hermes


class Sending:
    """Sends one load after the other; each is counted and compared before the next. ``messages`` have arrived so far."""

    def __init__(self, site: Hermes, one: Load) -> None:
        self._site = site
        self._load = one
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.messages = 0
        self._fault: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End when the load that is under way has arrived; raises what went wrong."""
        self._ended.set()
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self._fault is not None:
            raise self._fault

    def has_begun(self) -> bool:
        """Whether messages have arrived; raises what went wrong."""
        self.check()
        return self.messages > 0

    def _send(self) -> None:
        try:
            while not self._ended.is_set():
                self._send_once()
        except Exception as fault:
            self._fault = fault

    def _send_once(self) -> None:
        site, count = self._site, self._load.messages
        site.clear()
        send(site, self._load, "user@example.org")
        wait_until("the messages", lambda: sum(1 for _ in files_in(site.maildir)) >= count)
        check_mailbox(site.name, site.maildir, self._load)
        self.messages += count


@contextmanager
def sending(site: Hermes, one: Load) -> Iterator[Sending]:
    """Load while the block runs; it has begun to arrive when the block begins."""
    some = Sending(site, one)
    some.start()
    try:
        wait_until("the first messages", some.has_begun)
        yield some
    finally:
        some.stop()

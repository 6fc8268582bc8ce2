"""A password that somebody has changed at one of several workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.circle import Circle
from hermes.app.echoes import Echoes
from hermes.app.station import Station
from hermes.app.stores import Stores
from hermes.config.loader import load
from hermes.core.account import Account
from hermes.directory.sources.file import FileSource
from tests.support.accounts import passwords_with, quick_hash
from tests.support.configuration import MINIMAL, write_config
from tests.support.maildirs import calling_worker, clock_at

OLD, NEW = "the word of yesterday", "the word of tomorrow"


class ChangedPasswordTests(SynchronousTestCase):
    """Two workers, that hear one another at once, and one file of accounts; no time passes."""

    def setUp(self) -> None:
        """Both have read the file."""
        settings = load(write_config(self, MINIMAL))
        self.path = Path(self.mktemp())
        self.path.write_text(f"[anna]\npassword = {quick_hash(OLD)}\n")
        self.clock = clock_at()
        echoes = [Echoes(), Echoes()]
        self.circles, self.sources = [], []
        for number in range(2):
            stores = Stores(settings, self.clock, self.clock.seconds, Station(tell=echoes[1 - number].hear))
            source = FileSource(str(self.path), calling_worker(), self.clock.seconds)
            stores.local = [source]
            stores.source.use([source])
            stores.passwords = passwords_with()
            stores.listen(echoes[number])
            source.load()
            self.sources.append(source)
            self.circles.append(self.circle(settings, stores))

    def circle(self, settings: Any, stores: Stores) -> Circle:
        """What judges by these stores."""

        def relay() -> Any:
            raise AssertionError

        return Circle(settings, stores, self.clock, self.clock.seconds, relay)

    def hash_at(self, number: int) -> str:
        """What a worker holds a password against."""
        accounts = self.successResultOf(Deferred.fromCoroutine(self.sources[number].current()))
        record = accounts.named("anna")
        assert record is not None
        return record.password_hash

    def test_known_to_all(self) -> None:
        """It is in force at the other one for the very next login, and the old one is not."""
        old = [self.hash_at(number) for number in range(2)]
        changing = self.circles[0].changing.change(Account("anna", ()), OLD, NEW)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(changing)), "")
        new = [self.hash_at(number) for number in range(2)]
        self.assertEqual(new[0], new[1])
        self.assertNotIn(new[0], old)

    def test_refused(self) -> None:
        """One that does not satisfy the rule changes nothing at either."""
        old = [self.hash_at(number) for number in range(2)]
        changing = self.circles[0].changing.change(Account("anna", ()), OLD, "short")
        self.assertIn("at least", self.successResultOf(Deferred.fromCoroutine(changing)))
        self.assertEqual([self.hash_at(number) for number in range(2)], old)

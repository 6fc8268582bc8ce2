"""What several workers count together: two of them, that hear one another at once."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.echoes import Echoes, SharedAnswers, SharedGreylist, SharedLogins, SharedLoginTimes, SharedRates
from hermes.config.schema import LimitsSettings
from hermes.config.sections.greylist import GreylistSettings
from hermes.core.rate import Rate
from hermes.policy.greylist_store import GreylistStore
from tests.support.worker import ImmediateWorker

PEER = "192.0.2.1"


class EchoTests(SynchronousTestCase):
    """Each kind of count at two workers."""

    def setUp(self) -> None:
        """What one tells, the other hears."""
        self.clock = Clock()
        self.echoes = [Echoes(), Echoes()]

    def tell(self, number: int) -> Any:
        """How a worker tells the other one."""
        return self.echoes[1 - number].hear

    def test_wrong_passwords(self) -> None:
        """They count together, however they are spread; the owner who has logged in at one worker is known at the other."""
        both = [SharedLogins(LimitsSettings(login_failures=4), self.clock.seconds, self.tell(n)) for n in range(2)]
        for echoes, logins in zip(self.echoes, both, strict=True):
            echoes.expect("login failed", logins.hear_failed)
            echoes.expect("login succeeded", logins.hear_succeeded)
        both[0].succeeded("192.0.2.9", "anna")
        for number in range(4):
            self.assertTrue(both[number % 2].verdict(PEER, "anna").accepted)
            both[number % 2].failed(PEER, "anna")
        self.assertEqual([logins.verdict(PEER, "bob").accepted for logins in both], [False, False])
        self.assertEqual([logins.verdict("192.0.2.9", "anna").accepted for logins in both], [True, True])
        self.assertEqual(both[0].counts(), both[1].counts())

    def test_rates(self) -> None:
        """What an address may send it may send in all, and not to each worker."""
        both = [SharedRates(self.clock.seconds, self.tell(n)) for n in range(2)]
        for echoes, rates in zip(self.echoes, both, strict=True):
            echoes.expect("mail", rates.hear)
        limits = [Rate(2, 60)]
        for number in range(2):
            self.assertIsNone(both[number].exceeded("address", PEER, "messages", 1, limits))
            both[number].count("address", PEER, "messages", 1, limits)
        for rates in both:
            self.assertEqual(rates.exceeded("address", PEER, "messages", 1, limits), limits[0])

    def test_greylist(self) -> None:
        """Who was told to come again is let in at whichever worker that is, and is known at both."""
        settings = GreylistSettings()
        both = []
        for number in range(2):
            store = GreylistStore(os.path.join(self.mktemp()), AtOnce(), ImmediateWorker())
            both.append(SharedGreylist(store, self.clock.seconds, self.tell(number)))
            self.echoes[number].expect("greylist", both[-1].hear)
        # Where it is switched off what others have had is nothing.
        both[0].hear("192.0.2.0/24", "example.com", settings)
        for greylist in both:
            self.successResultOf(_deferred(greylist.open()))
            self.addCleanup(lambda greylist=greylist: self.successResultOf(_deferred(greylist.close())))
        self.assertGreater(both[0].wait("192.0.2.0/24", "example.com", settings), 0)
        self.clock.advance(settings.delay)
        self.assertEqual(both[1].wait("192.0.2.0/24", "example.com", settings), 0)
        self.assertEqual(both[0].wait("192.0.2.0/24", "example.net", settings), 0)
        self.assertEqual(both[0].describe(), both[1].describe())

    def test_answers(self) -> None:
        """Who was answered by one worker is not answered by the other."""
        both = [SharedAnswers(self.tell(n)) for n in range(2)]
        for echoes, answers in zip(self.echoes, both, strict=True):
            echoes.expect("answered", answers.hear)
        asked = ("anna@example.org", "bob@example.com")
        self.assertEqual(both[0].why_not(*asked, 1000.0, logged_in=False), "")
        self.assertIn("already", both[1].why_not(*asked, 1001.0, logged_in=False))

    def test_login_delay(self) -> None:
        """Who has logged in at one worker waits at the other; nothing is told where nobody has to wait."""
        both = [SharedLoginTimes(self.tell(n)) for n in range(2)]
        for echoes, times in zip(self.echoes, both, strict=True):
            echoes.expect("logged in", times.hear)
        self.assertEqual(both[0].seconds_to_wait("anna", 1000.0, 60), 0)
        self.assertEqual(both[1].seconds_to_wait("anna", 1010.0, 60), 50)
        self.assertEqual(both[1].seconds_to_wait("ben", 1010.0, 0), 0)
        self.assertEqual(both[0].seconds_to_wait("ben", 1010.0, 60), 0)


def _deferred(coroutine: Any) -> Any:
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)

"""The number of descriptors that the process may have."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.net.descriptors import allow


class AllowTests(SynchronousTestCase):
    """The limit is raised as far as the system lets us, and never lowered."""

    @override
    def setUp(self) -> None:
        self.limits = (1024, 4096)
        self.patch(resource, "getrlimit", lambda which: self.limits)
        self.patch(resource, "setrlimit", self.set)

    def set(self, which: int, limits: tuple[int, int]) -> None:
        """What the process asks of the system."""
        self.assertEqual(which, resource.RLIMIT_NOFILE)
        self.limits = limits

    def test_raised(self) -> None:
        """What is wanted and possible is what is then in force."""
        self.assertEqual((allow(2000), self.limits), (2000, (2000, 4096)))

    def test_as_far_as_possible(self) -> None:
        """The hard limit is the end."""
        self.assertEqual((allow(4097), self.limits), (4096, (4096, 4096)))

    def test_not_lowered(self) -> None:
        """A limit that is as high, or higher, stays."""
        for wanted in (1023, 1024):
            self.assertEqual((allow(wanted), self.limits), (1024, (1024, 4096)))

    def test_without_limits(self) -> None:
        """Where there is no limit there is nothing to be raised, and no end."""
        self.limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertEqual(allow(5000), 5000)
        self.assertEqual(self.limits[0], resource.RLIM_INFINITY)
        self.limits = (1024, resource.RLIM_INFINITY)
        self.assertEqual((allow(5000), self.limits[0]), (5000, 5000))

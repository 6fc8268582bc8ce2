"""Tests of :mod:`hermes.protocols.scram_keys`."""

from __future__ import annotations

from base64 import b64decode

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.scram_keys import MAX_ITERATIONS, MIN_ITERATIONS, ScramKeys, derive, parse

KEYS = (
    "SCRAM-SHA-256${}:W22ZaJ0SNY7soEsUEjb6gQ=="
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


class KeysTests(SynchronousTestCase):
    """Deriving, writing and reading."""

    def test_known_keys(self) -> None:
        """The keys of RFC 7677's example, in the form in which other servers keep them too."""
        derived = derive(b"pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
        self.assertEqual(str(derived), KEYS.format(4096))

    def test_read_what_was_written(self) -> None:
        """The text holds everything."""
        keys = derive(b"secret", b"0123456789abcdef", MIN_ITERATIONS)
        self.assertEqual(parse(str(keys)), keys)

    def test_iterations(self) -> None:
        """4096 at least (RFC 7677 4), and no more than a client would wait for."""
        for iterations, allowed in (
            (MIN_ITERATIONS - 1, False),
            (MIN_ITERATIONS, True),
            (MAX_ITERATIONS, True),
            (MAX_ITERATIONS + 1, False),
        ):
            if allowed:
                self.assertEqual(parse(KEYS.format(iterations)).iterations, iterations)
            else:
                self.assertRaises(ValueError, parse, KEYS.format(iterations))

    def test_something_else(self) -> None:
        """What is not in this form is refused and not repeated: it may be somebody's password."""
        good = KEYS.format(4096)
        for text in (
            "",
            "hunter2",
            good.replace("256", "1"),
            good[:-1],
            good + "=",
            good.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaJ0SNY7soEsUEjb6gQ="),
            good.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            good.replace("4096", "04096"),
            good.replace("WG5d", "WG-d"),
            good + "\n",
        ):
            error = self.assertRaises(ValueError, parse, text)
            self.assertNotIn(text or "nothing", str(error))

    def test_nothing_is_shown(self) -> None:
        """Keys that end up in a log do not tell themselves."""
        self.assertEqual(repr(derive(b"secret", b"salt", MIN_ITERATIONS)), "ScramKeys()")
        self.assertIsInstance(parse(KEYS.format(4096)), ScramKeys)

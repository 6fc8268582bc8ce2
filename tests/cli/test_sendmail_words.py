"""The options of sendmail."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.cli.sendmail_words import UsageError, Words, parse


class WordsTests(SynchronousTestCase):
    """parse()."""

    def test_words(self) -> None:
        """What programs really call it with."""
        for line, expected in (
            ("", Words()),
            ("a@b c", Words(recipients=["a@b", "c"])),
            ("-t -i", Words(from_header=True, ignore_dots=True)),
            ("-ti", Words(from_header=True, ignore_dots=True)),
            ("-oi -oem -odb a", Words(ignore_dots=True, recipients=["a"])),
            ("-f s@x a", Words(sender="s@x", recipients=["a"])),
            ("-fs@x -- -a", Words(sender="s@x", recipients=["-a"])),
            ("-f <> a", Words(sender="", recipients=["a"])),
            ("-tf s", Words(from_header=True, sender="s")),
            ("-r s -Fname", Words(sender="s", full_name="name")),
            ("-bm -U -v -m a", Words(recipients=["a"])),
            ("-bs", Words(mode="s")),
            ("-bp", Words(mode="p")),
            ("-bi", Words(mode="i")),
            ("-q", Words(mode="q")),
            ("-q30m", Words(mode="q")),
            (
                "-N success,delay -R hdrs -V id a",
                Words(notify=frozenset({"SUCCESS", "DELAY"}), ret="HDRS", envid="id", recipients=["a"]),
            ),
            ("-N never a", Words(notify=frozenset({"NEVER"}), recipients=["a"])),
            (
                "-C /x/config.ini -B8BITMIME -h 5 -L tag -O Opt=1 -p smtp -X /log a",
                Words(config="/x/config.ini", recipients=["a"]),
            ),
            ("-Am -em -d0.1 a", Words(recipients=["a"])),
            ("-", Words(recipients=["-"])),
        ):
            self.assertEqual(parse(line.split()), expected, line)

    def test_wrong(self) -> None:
        """What a program would be wrong about is told it."""
        for line, words in (
            ("-f", "-f needs a value"),
            ("-Z", "-Z is not an option"),
            ("-tZ", "-Z is not an option"),
            ("-b", "-b is not a mode"),
            ("-bz", "-bz is not a mode"),
            ("-bms", "-bms is not a mode"),
            ("-bd", "not offered here"),
            ("-N sometimes", "-N is followed by"),
            ("-N never,delay", "-N is followed by"),
            ("-R all", "-R is followed by"),
        ):
            self.assertIn(words, str(self.assertRaises(UsageError, parse, line.split())))

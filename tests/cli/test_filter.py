"""Tests of ``hermes filter``: what filters would do, and Mercury's file as sections."""

from __future__ import annotations

from pathlib import Path

from hermes.config.loader import load
from tests.support.command import CommandTestCase

FILTERS = """\
# Ours
H, "*192.0.2.1*", RSN, "554 Not you"
D, "?+/W*.*", F-N, "550 Log in"
M, "*", L, "a sender"
M, "*bad*", D
R, "*good*", X
R, "*", S
S, "*Grüße*", B, "550 In English, please"
"""


class FilterTestCase(CommandTestCase):
    """A file of filters."""

    def setUp(self) -> None:
        """Write it."""
        self.path = self.mktemp()
        Path(self.path).write_text(FILTERS)


class TestTests(FilterTestCase):
    """``hermes filter test``."""

    def test_line(self) -> None:
        """Each stage has its answer, with the filter's line and pattern, and what is said; exit code 1 means refused."""
        out = self.run_hermes("filter", "test", self.path, "EHLO laptop", exit_code=1).stdout
        self.assertEqual(
            out.splitlines(),
            [
                "hello: EHLO laptop: is refused, and may only QUIT from then on: 554 5.7.1 Not you",
                f"    by  {self.path}:2: anything but *192.0.2.1*",
                "    and its address goes on the list of offenders",
                "deferred: EHLO laptop: is refused, when MAIL comes without a login: 550 5.7.1 Log in",
                f"    by  {self.path}:3: anything but ?+/W*.*",
            ],
        )

    def test_passes(self) -> None:
        """What nothing refuses passes, and exit code 0 says so."""
        out = self.run_hermes("filter", "test", self.path, "helo 192.0.2.1").stdout
        self.assertEqual(
            out.splitlines(),
            [
                "hello: helo 192.0.2.1: no filter decides, it passes",
                "deferred: helo 192.0.2.1: no filter decides, it passes",
            ],
        )
        for line in ("RCPT TO:<good@example.org>", "RCPT TO:<a@example.org>", "MAIL FROM:<>", "Subject: hello"):
            self.run_hermes("filter", "test", self.path, line)

    def test_several_lines(self) -> None:
        """Several lines are answered one after the other, and what only logs is told too."""
        answers = self.run_json(
            "filter", "test", self.path, "MAIL FROM:<bad@example.com>", "RCPT TO:<good@example.org>", exit_code=1
        )
        self.assertEqual(
            [(each["stage"], each["action"], each["place"].rpartition(":")[2], each["log"]) for each in answers],
            [("sender", "log", "4", "a sender"), ("sender", "drop", "5", ""), ("recipient", "leave", "6", "")],
        )
        self.assertEqual(answers[1]["reply"], "")

    def test_subject(self) -> None:
        """A subject is read as people read it."""
        for line in ("Subject: Grüße", "subject:=?utf-8?Q?Gr=C3=BC=C3=9Fe?="):
            (answer,) = self.run_json("filter", "test", self.path, line, exit_code=1)
            self.assertEqual((answer["action"], answer["reply"]), ("close", "550 5.7.1 In English, please"))

    def test_other_lines(self) -> None:
        """What no filter looks at is a question that cannot be meant."""
        out = self.run_hermes("filter", "test", self.path, "DATA", exit_code=2).output
        self.assertIn("'DATA' is nothing that filters look at: write EHLO, HELO, MAIL, RCPT or Subject: first.", out)

    def test_mistakes(self) -> None:
        """A file with mistakes is not tried: they are told, with their lines."""
        Path(self.path).write_text("H\nH, x\n")
        out = self.run_hermes("filter", "test", self.path, "EHLO x", exit_code=3).output
        self.assertIn(f"{self.path}:1: has no expression", out)
        self.assertIn(f"{self.path}:2: has no expression", out)

    def test_configuration(self) -> None:
        """Of a config.ini the filters that are in force are tried: those of its file, then its own."""
        config = self.site("[filters]\nfile = own.mer\n[filter:last]\npattern = *\nstage = subject\n")
        Path(load(config).filters.file).write_text(FILTERS)
        answers = self.run_json("filter", "test", config, "Subject: x", "Subject: Grüße", exit_code=1)
        self.assertEqual(
            [each["place"] for each in answers], [f"{config} [filter:last]", f"{load(config).filters.file}:8"]
        )
        config = self.site("[filter:last]\npattern = *\nstage = subject\n")
        self.run_hermes("filter", "test", config, "Subject: x", exit_code=1)


class ConvertTests(FilterTestCase):
    """``hermes filter convert``."""

    def test_sections(self) -> None:
        """The sections that are printed do what the lines did."""
        result = self.run_hermes("filter", "convert", self.path)
        self.assertIn("[filter:line-2]\nstage = hello\npattern = *192.0.2.1*\naction = refuse\n", result.stdout)
        self.assertIn("take the file out of [filters]", result.stderr)
        config = self.site(result.stdout)
        lines = (
            "EHLO laptop",
            "HELO 192.0.2.1",
            "MAIL FROM:<bad@example.com>",
            "RCPT TO:<a@example.org>",
            "Subject: Grüße",
        )
        for line in lines:
            for before, after in zip(
                *(
                    self.run_json("filter", "test", file, line, exit_code=0 if line[0] in "R" or "192" in line else 1)
                    for file in (self.path, config)
                ),
                strict=True,
            ):
                self.assertEqual({**before, "place": ""}, {**after, "place": ""}, line)


class OtherCommandsTests(FilterTestCase):
    """What other commands say of filters."""

    def test_check(self) -> None:
        """``hermes check`` says how many there are, and what is wrong with them."""
        config = self.site("[filters]\nfile = own.mer\n")
        path = Path(load(config).filters.file)
        for text, said in (("", "has 0 filters"), ('H, "x", X\n', "has 1 filter"), ("H\n", ":1: has no expression")):
            path.write_text(text)
            answers = self.run_json("check", "-c", config, exit_code=1)
            (found,) = [each["text"] for each in answers if each["about"] == "filters.file"]
            self.assertIn(said, found)

    def test_check_lists(self) -> None:
        """It says so of the other lists too."""
        config = self.site("[compliance]\nkillfile = kill\nexceptions = except\nno_longer_valid = gone\n")
        data = Path(config).parent / "data"
        for name, text in (("kill", "*@example.net\n"), ("except", "<>\nexample.com\n"), ("gone", "joe\n")):
            (data / name).write_text(text)
        said = [each["text"] for each in self.run_json("check", "-c", config, exit_code=1)]
        for text in (f"{data}/kill has 1 entry", f"{data}/except has 2 entries", f"{data}/gone:1: 'joe' is no address"):
            self.assertTrue(any(text in each for each in said), text)

    def test_explain_no_longer_valid(self) -> None:
        """``hermes explain`` tells of an address that is no longer valid, and where that stands."""
        config = self.site("[compliance]\nno_longer_valid = gone\n")
        data = Path(config).parent / "data"
        (data / "gone").write_text("joe@example.org Write to ann\n")
        (data / "accounts.ini").write_text("")
        (data / "accounts.ini").chmod(0o600)
        question = ("explain", "-c", config, "--ip", "192.0.2.9", "--from", "a@example.com", "--to")
        (step,) = self.run_json(*question, "joe@example.org", exit_code=1)[-1:]
        self.assertEqual((step["reply"], step["because"]), ("550 5.1.6 Write to ann", [f"{data}/gone:1"]))
        (step,) = self.run_json(*question, "nobody@example.org", exit_code=1)[-1:]
        self.assertEqual(step["rule"], "relay.unknown_user")

    def test_explain(self) -> None:
        """``hermes explain`` knows what filters do, and where that stands."""
        config = self.site("[filter:literal]\npattern = *[[]192.0.2.9]*\ntext = 550 Not you\n")
        data = Path(config).parent / "data"
        (data / "accounts.ini").write_text("")
        (data / "accounts.ini").chmod(0o600)
        steps = self.run_json("explain", "-c", config, "--ip", "192.0.2.9", exit_code=1)
        self.assertEqual((steps[-1]["stage"], steps[-1]["rule"]), ("hello", "filter.hello"))
        self.assertIn(f"{config} [filter:literal]", steps[-1]["because"])
        self.run_hermes("explain", "-c", config, "--ip", "192.0.2.8")

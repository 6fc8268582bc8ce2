"""The picture in docs/receiving.md, against the pipeline that a server with everything on makes."""

from __future__ import annotations

import re
from pathlib import Path

from hermes.app.circle import Circle
from hermes.config.loader import load
from hermes.core.policy import Stage
from tests.app.test_composition import CircleTestCase
from tests.support.all_checks import SETTINGS, write_files
from tests.support.configuration import MINIMAL, write_config

PAGE = Path(__file__).resolve().parents[2] / "docs" / "receiving.md"

#: Checks that ask at a stage and judge at another.
ASKING = {
    Stage.CONNECT: {"dnsbl", "sender_checks"},
    Stage.HELLO: {"dnsbl"},
    Stage.SENDER: {"dnsbl", "sender_checks"},
}


def drawn() -> dict[Stage, list[str]]:
    """The checks of each stage, as the picture has them."""
    section = PAGE.read_text().split("## The order of checks")[1].split("\n## ")[0]
    found: dict[Stage, list[str]] = {}
    stage = None
    for line in section.splitlines():
        if match := re.match(r"    (\w+)", line):
            stage = next((each for each in Stage if each.value == match[1]), None)
        elif (match := re.match(r" +\|? +checks: (.+)", line)) and stage is not None:
            found[stage] = match[1].split()
    return found


class OrderOfChecksTests(CircleTestCase):
    """Which checks there are, and in which order."""

    def everything(self) -> Circle:
        """With all checks on."""
        path = write_config(self, MINIMAL + SETTINGS)
        write_files(Path(path).parent / "data")
        return self.circle_of(load(path))

    def test_picture(self) -> None:
        """Each stage has the checks that the page shows, in their order."""
        checks = self.everything().checks.checks()
        made = {stage: [check.name for check in checks if stage in check.stages] for stage in Stage}
        self.assertEqual({stage: [name.strip("[]") for name in names] for stage, names in drawn().items()}, made)

    def test_brackets(self) -> None:
        """Those in brackets are those that only ask."""
        for stage, names in drawn().items():
            asking = {name.strip("[]") for name in names if name.startswith("[")}
            self.assertEqual(asking, ASKING.get(stage, set()), stage)

    def test_order_of_stages(self) -> None:
        """The picture goes through a session from top to bottom."""
        self.assertEqual(list(drawn()), list(Stage))

    def test_defaults(self) -> None:
        """As shipped, what is off is not there: only what tests without refusing, and what holds for those who log in."""
        checks = self.circle().checks.checks()
        self.assertEqual(
            [check.name for check in checks if check.stages],
            ["misconduct", "rates", "from", "sender_checks", "score", "new_recipients"],
        )

    def test_nothing_asked(self) -> None:
        """With the tests of senders off nothing waits at the greeting, and nothing reads a message."""
        tests = ("no_reverse_name", "unconfirmed_reverse_name", "own_hello", "address_hello", "unqualified_hello")
        off = "".join(f"{test} = off\n" for test in (*tests, "unknown_hello", "unknown_sender", "null_mx_sender"))
        checks = self.circle(f"[sender_checks]\n{off}").checks
        wanted = [stage for stage in Stage if checks.wanted(stage)]
        self.assertEqual(wanted, [Stage.SENDER, Stage.RECIPIENT, Stage.HEADER, Stage.REFUSED])

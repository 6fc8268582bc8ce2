"""The transcripts in ``tests/dialogues/smtp`` with the engine alone, the client's octets cut in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.smtp.events import Flavor
from tests.support.dialogue import Dialogue, differences, read
from tests.support.engines import cuts
from tests.support.smtp_owner import Owner

DIALOGUES = Path(__file__).parent.parent.parent / "dialogues" / "smtp"


def parameters(settings: dict[str, str]) -> dict[str, Any]:
    """The settings of a transcript as parameters of the engine."""
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name == "flavor":
            values[name] = Flavor(text)
        elif text.isdigit():
            values[name] = int(text)
        else:
            values[name] = tuple(word.strip() for word in text.split(","))
    return values


class DialogueTests(SynchronousTestCase):
    """Each transcript."""

    def play(self, dialogue: Dialogue) -> None:
        """Say what the client says, turn by turn, and hear what the transcript has, however the octets are cut."""
        for number, turn in enumerate(dialogue.turns):
            before = "".join(each.sent for each in dialogue.turns[:number]).encode()
            for pieces in cuts(turn.sent.encode()):
                owner = Owner(**parameters(dialogue.settings))
                greeting = owner.engine.greeting("ESMTP Hermes") if number == 0 else b""
                owner.receive(before)
                heard = (greeting + owner.receive(*pieces)).decode().split("\r\n")[:-1]
                wrong = differences(turn.heard, heard)
                self.assertEqual(wrong, "", f"{dialogue.name}, behind {turn.sent!r} cut as {pieces!r}")

    def test_transcripts(self) -> None:
        """Every transcript is heard as it is written."""
        paths = sorted(DIALOGUES.glob("*.txt"))
        self.assertGreater(len(paths), 5)
        for path in paths:
            self.play(read(path))

"""Every transcript of an SMTP session, said in turns, octet by octet, and all at once (RFC 2920)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import AccessSettings
from hermes.core.address_range import AddressRange
from hermes.net.server_gate import refusal_by
from hermes.policy.access import Access
from hermes.protocols.smtp.events import Flavor
from tests.support.dialogue import Dialogue, differences, read
from tests.support.scram import MemoryKeys
from tests.support.smtp_site import PASSWORD, Client, Site

DIALOGUES = Path(__file__).parent.parent / "dialogues" / "smtp_session"

#: Longer than a wrong password costs, shorter than the client may be silent.
PATIENCE_SECONDS = 10


def site_of(dialogue: Dialogue) -> Site:
    """The site that a transcript asks for."""
    settings = dialogue.settings
    known = {"access", "flavor", "front_ends", "implicit_tls", "max_size", "messages", "pipelined", "room", "scram"}
    if unknown := set(settings) - known:
        raise ValueError(f"{dialogue.name}: {unknown}")
    limits: dict[str, Any] = {"max_size": int(settings["max_size"])} if "max_size" in settings else {}
    if "front_ends" in settings:
        limits["front_ends"] = (ip_network(settings["front_ends"]),)
    site = Site(
        flavor=Flavor(settings.get("flavor", "SMTP")),
        implicit_tls=settings.get("implicit_tls") == "yes",
        scram=MemoryKeys(alice=PASSWORD) if settings.get("scram") == "yes" else None,
        **limits,
    )
    if settings.get("access") == "refused":
        everybody = AccessSettings((AddressRange.parse("0.0.0.0/0"),), action="refuse")
        refusal = refusal_by(Access({"everybody": everybody}).entry("192.0.2.7", "smtp"), "192.0.2.7")
        site.gate.admission = refusal or site.gate.admission
    # Accounts and the octets that fit into their mailboxes: "alice 0, bob 1000".
    for text in filter(None, settings.get("room", "").split(", ")):
        name, octets = text.split()
        site.mailboxes.rooms[name] = int(octets)
    return site


def listen(client: Client) -> list[str]:
    """What has come, also after a while."""
    client.site.clock.pump([PATIENCE_SECONDS / 10] * 10)
    return client.heard()


class SMTPDialogueTests(SynchronousTestCase):
    """Each transcript is a test, three times."""

    def in_turns(self, dialogue: Dialogue, client: Client) -> None:
        """Wait for each answer before the next command."""
        for turn in dialogue.turns:
            heard = client.send(turn.sent.encode("utf-8")) if turn.sent else []
            wrong = differences(turn.heard, heard + listen(client))
            self.assertEqual(wrong, "", f"{dialogue.name}: after {turn.sent!r}")

    def octet_by_octet(self, dialogue: Dialogue, client: Client) -> None:
        """The same, and the network cuts everything into single octets."""
        for turn in dialogue.turns:
            heard = []
            for octet in turn.sent.encode("utf-8"):
                heard += client.send(bytes([octet]))
            wrong = differences(turn.heard, heard + listen(client))
            self.assertEqual(wrong, "", f"{dialogue.name}: after {turn.sent!r} octet by octet")

    def at_once(self, dialogue: Dialogue, client: Client) -> None:
        """Everything in one piece."""
        heard = client.send(dialogue.sent)
        wrong = differences(dialogue.heard, heard + listen(client))
        self.assertEqual(wrong, "", f"{dialogue.name} at once")

    def run_dialogue(self, dialogue: Dialogue) -> None:
        """Run a transcript in every way."""
        ways: list[Callable[[Dialogue, Client], None]] = [self.in_turns, self.octet_by_octet]
        if dialogue.settings.get("pipelined") != "no":
            ways.append(self.at_once)
        for way in ways:
            site = site_of(dialogue)
            client = site.connect(greet=None)
            way(dialogue, client)
            self.assertEqual(len(site.spool.committed), int(dialogue.settings["messages"]), dialogue.name)
            self.assertTrue(client.wire.disconnecting, f"{dialogue.name}: the session has not ended")
            client.leave()
            self.assertEqual(site.clock.getDelayedCalls(), [])


def _add(path: Path) -> None:
    def test(self: SMTPDialogueTests) -> None:
        self.run_dialogue(read(path))

    test.__name__ = f"test_{path.stem}"
    test.__doc__ = path.read_text("utf-8").splitlines()[0].lstrip("# ")
    setattr(SMTPDialogueTests, test.__name__, test)


for _path in sorted(DIALOGUES.glob("*.txt")):
    _add(_path)

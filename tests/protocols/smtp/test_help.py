"""What HELP names: the commands that this client can say in this session, and no others (RFC 5321 4.1.1.8)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.smtp import events
from hermes.protocols.smtp.events import Flavor
from tests.support.smtp_owner import Owner, ready

#: Each command of the standards that name one, with an argument that it could have: RFC 5321 4.1.1 and its appendix F, RFC 1985,
#: 2033, 2645, 3030, 3207, 4954, and what Postfix documents of XCLIENT.
SAID = {
    "EHLO": b"EHLO x",
    "HELO": b"HELO x",
    "LHLO": b"LHLO x",
    "STARTTLS": b"STARTTLS",
    "AUTH": b"AUTH PLAIN",
    "MAIL": b"MAIL FROM:<a@example.com>",
    "RCPT": b"RCPT TO:<b@example.org>",
    "DATA": b"DATA",
    "BDAT": b"BDAT 0 LAST",
    "RSET": b"RSET",
    "NOOP": b"NOOP",
    "VRFY": b"VRFY x",
    "EXPN": b"EXPN x",
    "ETRN": b"ETRN example.org",
    "HELP": b"HELP",
    "QUIT": b"QUIT",
    "XCLIENT": b"XCLIENT ADDR=192.0.2.7",
    "ATRN": b"ATRN",
    "TURN": b"TURN",
    "SEND": b"SEND FROM:<a@example.com>",
}

#: What EHLO announces under the name of the command that comes with it.
ANNOUNCED = frozenset({"STARTTLS", "AUTH", "ETRN", "XCLIENT"})

#: Replies that say that there is no such command, or no use for it in this session.
MISSING = (b"500", b"502", b"504", b"538")


def sessions() -> Iterator[tuple[Any, Any]]:
    """How to begin each kind of session, and its parameters."""
    for flavor, starttls, etrn, xclient in product(Flavor, (False, True), (False, True), (False, True)):
        for mechanisms, in_clear in (((), ()), (("PLAIN",), ()), (("PLAIN",), ("PLAIN",))):
            yield (
                {
                    "flavor": flavor,
                    "starttls": starttls,
                    "etrn": etrn,
                    "xclient": xclient,
                    "mechanisms": mechanisms,
                    "mechanisms_in_clear": in_clear,
                },
                frozenset({"LHLO"} if flavor is Flavor.LMTP else {"EHLO", "HELO"}),
            )


def named(owner: Owner) -> set[str]:
    """What HELP is told."""
    owner.lines(b"HELP")
    event = owner.last
    assert isinstance(event, events.Help)
    return set(event.commands)


class HelpTests(SynchronousTestCase):
    """The list of commands."""

    def test_as_announced(self) -> None:
        """What EHLO announces and what HELP names are one and the same, whatever is offered to whom."""
        for parameters, hello in sessions():
            greeting = b"LHLO x" if "LHLO" in hello else b"EHLO x"
            owner = Owner(**parameters)
            words = {line[4:].split()[0].decode() for line in owner.lines(greeting)[1:]}
            names = named(owner)
            self.assertEqual(names & ANNOUNCED, words & ANNOUNCED, parameters)
            self.assertEqual(names & {"EHLO", "HELO", "LHLO"}, hello, parameters)

    def test_as_answered(self) -> None:
        """Whatever HELP names is there, and what it does not name is not."""
        for parameters, _ in sessions():
            names = named(ready(**parameters))
            self.assertLessEqual(names, set(SAID))
            for name, line in SAID.items():
                reply = ready(**parameters).lines(line)[-1]
                self.assertEqual(name not in names, reply.startswith(MISSING), (name, reply, parameters))

    def test_before_hello(self) -> None:
        """A client that has not said EHLO yet hears the same: only the order is missing (RFC 5321 4.1.4)."""
        parameters = {"starttls": True, "mechanisms_in_clear": ("PLAIN",), "etrn": True}
        self.assertEqual(named(Owner(**parameters)), named(ready(**parameters)))

    def test_used_up(self) -> None:
        """STARTTLS goes when TLS is on (RFC 3207 4.2), AUTH comes where it wanted TLS, and goes after the login (RFC 4954 4)."""
        owner = ready(starttls=True, mechanisms=("PLAIN",))
        self.assertEqual(named(owner) & ANNOUNCED, {"STARTTLS"})
        owner.lines(b"STARTTLS")
        owner.lines(b"EHLO x")
        self.assertEqual(named(owner) & ANNOUNCED, {"AUTH"})
        self.assertEqual(owner.lines(b"AUTH PLAIN AGpvZQBzZWNyZXQ=")[0][:3], b"235")
        self.assertEqual(named(owner) & ANNOUNCED, set())

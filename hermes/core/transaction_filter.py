"""
Transaction filters: one line that an administrator wrote about what SMTP clients say, and what to do about it.

Mercury's letters for passes and actions are these members' values; the names are ours. Where they are written, and how, is the
business of those who read them (``transflt.mer``, and sections of ``config.ini``).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

import attrs

from hermes.core.reply import Reply

#: What is said must fit into a line of 512 octets, with codes (RFC 5321 4.5.3.1.5).
MAX_REPLY_OCTETS = 400

# reply-code = %x32-35 %x30-35 %x30-39   (RFC 5321 4.2), of which a refusal has the first digit 4 or 5; textstring is ASCII.
# 571 is taken because servers have said it for very long.
_REPLY = re.compile(r"(?P<code>[45][0-9][0-9])(?:[ -]+(?P<text>[\x20-\x7e]*))?\Z")

_DEFAULT_TEXT = "Refused by a rule of this server"


class Pass(enum.Enum):
    """When a filter is looked at, and what its expression sees."""

    HELLO = "H"  #: the line of HELO or EHLO
    DEFERRED = "D"  #: the same, but the action waits for MAIL, and a login cancels it
    SENDER = "M"  #: the line of MAIL
    RECIPIENT = "R"  #: the line of RCPT
    SUBJECT = "S"  #: the field Subject of the message

    # As for stages (hermes.core.policy): they are looked up for every line.
    __hash__ = object.__hash__


class Action(enum.Enum):
    """What is done when a filter triggers."""

    REFUSE = "R"  #: refuse, and afterwards permit nothing but QUIT
    FAIL = "F"  #: refuse this command alone
    CLOSE = "B"  #: refuse, and close the connection
    DROP = "D"  #: close the connection without a word
    LOG = "L"  #: write a line to the log, and go on with the next filter
    LEAVE = "X"  #: look at no further filter of this pass
    STOP = "S"  #: look at no further filter for this message, or at the greeting for this session


#: The actions by which a client is refused, and so hears, or would hear, a reply.
REFUSING = frozenset({Action.REFUSE, Action.FAIL, Action.CLOSE, Action.DROP})


@attrs.frozen
class Filter:
    """
    One filter.

    ``expression`` is what was written, and ``matches`` what it means; with ``negate`` it triggers where that does not match.
    ``needs``, where it is not empty, stands in each text of ASCII that matches, in some case of letters; it is in small ones.
    ``block`` puts the client on the list of offenders. ``reply`` is for those that refuse, ``text`` is what :attr:`Action.LOG`
    writes. ``place`` is where it stands: file and line.
    """

    stage: Pass
    expression: str
    matches: Callable[[str], bool] = attrs.field(eq=False)
    action: Action
    block: bool = False
    negate: bool = False
    reply: Reply | None = None
    text: str = ""
    place: str = ""
    syntax: str = "mercury"
    needs: str = attrs.field(default="", eq=False)

    def triggers(self, *texts: str) -> bool:
        """True when the filter acts on something that can be read in these ways."""
        # A plain loop: it runs for every line that a client says, times the filters that there are.
        for text in texts:
            if self.matches(text):
                return not self.negate
        return self.negate


def parse_reply(text: str) -> Reply:
    """
    The reply that somebody wrote: ``554 text``, with or without an enhanced code, or nothing at all; ValueError with a remedy.

    RFC 2034 4 wants an enhanced code with every reply; where none was written it is X.7.1, refused for reasons of policy.
    """
    text = text.strip() or f"554 {_DEFAULT_TEXT}"
    found = _REPLY.match(text)
    if found is None:
        if not text.isascii() or not text.isprintable():
            raise ValueError("the response is said over the wire: write it in ASCII")
        raise ValueError(
            f"the response {text!r} does not begin with a code of refusal: write one like 554 Not from you"
        )
    if len(text) > MAX_REPLY_OCTETS:
        raise ValueError(f"the response has {len(text)} characters: write {MAX_REPLY_OCTETS} at most")
    code, said = int(found["code"]), (found["text"] or "").strip()
    if code // 10 % 10 > 5:
        # Such a code is none (RFC 5321 4.2); its first digit, by which clients go (4.3.2), is kept.
        code = 554 if code >= 500 else 451
    reply = Reply.parsed(code, (said or _DEFAULT_TEXT,))
    return reply if reply.enhanced else Reply(code, f"{code // 100}.7.1", reply.lines)

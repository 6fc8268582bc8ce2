"""
Compliance: what Mercury asks of a message beyond the standards, and the killfile.

The size is asked for at MAIL, and the killfile looked at; everything else when the header has come, and HTML without text when
the message has. Only strangers are asked; exceptions are for senders, and for the message alone.

Mercury's own codes (555) are none that others know. RFC 5321 4.3.2 has 550 after the message for reasons of policy; the enhanced
codes are X.6.0 for what the message is (RFC 3463 3.7) and X.7.1 for whom it is from (3.8).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection

from zope.interface import implementer

from hermes.config.sections.compliance import ComplianceSettings
from hermes.core.address_list import AddressList
from hermes.core.header import Header
from hermes.core.mime_outline import Outline
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck, IContentReader
from hermes.policy.strangers import is_stranger

_NO_SIZE = Verdict(
    Reply.of(550, "5.7.1", "Say EHLO, and declare the size of the message: MAIL FROM:<...> SIZE=n (RFC 1870)"),
    "compliance.size",
)
_UNWANTED = Reply.of(550, "5.7.1", "Mail from your address is not wanted here")
_UNWANTED_FIELD = Reply.of(550, "5.7.1", "Mail from an address in your message's header is not wanted here")
_NOT_MIME = Verdict(
    Reply.of(550, "5.6.0", "The message has no field MIME-Version: send it with a mail program that writes one"),
    "compliance.mime",
)
_NO_SUBJECT = Verdict(
    Reply.of(550, "5.6.0", "The message has no subject: write one, and send it again"), "compliance.subject"
)
_NO_DATE = Verdict(
    Reply.of(550, "5.6.0", "The message has no date: send it with a mail program that writes one"), "compliance.date"
)
_ONLY_HTML = Verdict(
    Reply.of(550, "5.6.0", "The message is HTML alone: send it as plain text, or with plain text beside it"),
    "compliance.html",
)

#: The fields that say whom a message is from (RFC 5322 3.6.2).
_FROM = ("From", "Sender", "Reply-To")

#: As much of such a field as is looked at, and addresses in all of them: a letter has one, or a few.
MAX_FIELD = 4000
MAX_ADDRESSES = 50

# What stands in angle brackets is the address where there are any; the rest is a name.
_IN_BRACKETS = re.compile(r"<\s*([^<>\s]{1,320})\s*>")
_ADDRESS = re.compile(r"[^\s<>,;:()\"]{1,255}@[^\s<>,;:()\"]{1,255}")

Lists = Callable[[], AddressList]


@implementer(ICheck)
class Compliance:
    """
    The check.

    ``killfile`` and ``exceptions`` give the lists as they are now, or are None; ``reader`` reads a message, and without one HTML
    is not looked for.
    """

    name = "compliance"
    momentary = False

    def __init__(
        self,
        settings: ComplianceSettings,
        killfile: Lists | None = None,
        exceptions: Lists | None = None,
        reader: IContentReader | None = None,
    ) -> None:
        self._settings = settings
        self._killfile = killfile
        self._exceptions = exceptions
        self._reader = reader
        stages: list[Stage] = []
        if settings.require_size or killfile is not None:
            stages.append(Stage.SENDER)
        if (
            settings.refuse_not_mime
            or settings.require_date
            or settings.require_subject != "no"
            or killfile is not None
        ):
            stages.append(Stage.HEADER)
        if settings.refuse_html_only and reader is not None:
            stages.append(Stage.MESSAGE)
        self.stages: Collection[Stage] = tuple(stages)

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Judge a sender, a header or a message."""
        transaction = case.transaction
        if transaction is None or not is_stranger(case.visit):
            return PASS
        if case.stage is Stage.SENDER:
            return self._sender(transaction.reverse_path, transaction.size_octets)
        if self._exceptions is not None and self._exceptions().find(transaction.reverse_path):
            return PASS
        # Where there is more header than is looked at, nobody can say what is not in it.
        if case.header is None or not case.header.whole:
            return PASS
        if case.stage is Stage.HEADER:
            return self._header(case.header)
        return self._message(case, case.header)

    def _sender(self, reverse_path: str, size_octets: int) -> Verdict:
        if self._settings.require_size and not size_octets:
            return _NO_SIZE
        if self._killfile is not None and (entry := self._killfile().find(reverse_path)):
            return Verdict(_UNWANTED, "compliance.killfile", f"the killfile has {entry}")
        return PASS

    def _header(self, header: Header) -> Verdict:
        settings = self._settings
        if self._killfile is not None:
            killfile = self._killfile()
            for address in _addresses(header):
                if entry := killfile.find(address):
                    return Verdict(_UNWANTED_FIELD, "compliance.killfile", f"the killfile has {entry}, for {address}")
        if settings.refuse_not_mime and header.first("MIME-Version") is None:
            return _NOT_MIME
        subject = header.first("Subject")
        if settings.require_subject != "no" and (
            subject is None or (settings.require_subject == "text" and not subject)
        ):
            return _NO_SUBJECT
        if settings.require_date and not header.first("Date"):
            return _NO_DATE
        return PASS

    def _message(self, case: Case, header: Header) -> Verdict | Awaitable[Verdict]:
        octets = header.octets.lower()
        # Most messages are of one part and no HTML: then neither word is anywhere.
        if b"html" not in octets and b"multipart" not in octets:
            return PASS
        outline = Outline(header.octets)
        if outline.decided:
            return _ONLY_HTML if outline.only_html else PASS
        return self._body(case, outline)

    async def _body(self, case: Case, outline: Outline) -> Verdict:
        assert case.message is not None
        assert self._reader is not None
        chunks = self._reader.chunks(await case.message.content())
        try:
            async for chunk in chunks:
                outline.look(chunk)
                if outline.decided:
                    break
        finally:
            await chunks.aclose()
        outline.end()
        return _ONLY_HTML if outline.only_html else PASS


def _addresses(header: Header) -> list[str]:
    """The addresses that a message says it is from."""
    found: list[str] = []
    for name in _FROM:
        for value in header.all(name):
            field = value[:MAX_FIELD]
            found += _IN_BRACKETS.findall(field) or _ADDRESS.findall(field)
            if len(found) >= MAX_ADDRESSES:
                return found[:MAX_ADDRESSES]
    return found

"""
Login constraints: ``joe (new, from=bob@example.org)`` logs in as joe, and shows only some of the mail.

They are Mercury's, for mail programs that can do nothing but give a name. Behind the name stand, in parentheses and with
commas between them, any of

    NEW or UNREAD      mail that has not been read
    URGENT             mail that its sender has marked so
    FROM=text          with an @ in it, the sender's address has to hold the text, else the sender's name
    SUBJECT=text       the subject has to hold it
    SHOW=text          some line of the header has to
    OMIT=text          no line of the header may
    SINCE=dd mmm yyyy [hh:mm] [+zzzz]    mail that has come since then, in the server's time unless a zone is given

each at most once, in any case, with spaces wherever one likes. Texts are compared without regard to case.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import attrs

from hermes.core.encoded_words import decoded
from hermes.core.header import Header
from hermes.core.mailbox_list import MAX_FIELD_CHARACTERS, addresses

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# date = 1*2DIGIT SP month SP 4DIGIT [SP 1*2DIGIT ":" 2DIGIT] [SP ("+" / "-") 4DIGIT]
_DATE = re.compile(
    r"(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{4})(?:\s+(\d{1,2}):(\d{2}))?(?:\s*([+-])(\d{2})(\d{2}))?\Z",
    re.IGNORECASE | re.ASCII,
)

# What is an address, or would be one, in a field like From; what is left is a name or a comment.
_ANGLE_ADDRESS = re.compile(r"<[^<>]*>")

_LINE = re.compile(rb"\r?\n(?![ \t])")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")

#: The fields by which mail programs say that something is urgent, and how their values then begin.
_URGENT_VALUES = {
    "priority": ("urgent",),
    "importance": ("high",),
    "x-priority": ("1", "2"),
    "x-msmail-priority": ("high",),
}


class ConstraintError(ValueError):
    """What stands in the parentheses is not understood; the text is for the client."""


@attrs.frozen
class Constraints:
    """Which messages a session shows. Texts are in lower case; ``since`` has no zone where none was given."""

    unread: bool = False
    urgent: bool = False
    sender: str = ""
    subject: str = ""
    show: str = ""
    omit: str = ""
    since: datetime | None = None

    @property
    def reads_header(self) -> bool:
        """True when :meth:`wants` has to be asked."""
        return bool(self.urgent or self.sender or self.subject or self.show or self.omit)

    def wants(self, header: Header) -> bool:
        """Whether a message is shown, by its header."""
        return (
            (not self.urgent or _is_urgent(header))
            and (not self.sender or self._is_from(header))
            and (not self.subject or self.subject in _spaced(decoded(header.first("subject") or "")))
            and (not self.show or self._stands_in(self.show, header))
            and (not self.omit or not self._stands_in(self.omit, header))
        )

    def _is_from(self, header: Header) -> bool:
        values = [value[:MAX_FIELD_CHARACTERS] for value in header.all("from")]
        if "@" in self.sender:
            return any(self.sender in address.lower() for value in values for address in addresses(value))
        return any(self.sender in _spaced(decoded(_without_addresses(value))) for value in values)

    @staticmethod
    def _stands_in(text: str, header: Header) -> bool:
        lines = (_FOLD.sub(b"", line).decode("utf-8", "replace") for line in _LINE.split(header.octets))
        return any(text in _spaced(line) or text in _spaced(decoded(line)) for line in lines)


def split_name(name: str) -> tuple[str, Constraints | None]:
    """The name itself and the constraints behind it, None where there are none; raise ConstraintError."""
    # An address ends with its domain and an account's name has no parentheses: nothing else is cut off.
    plain, parenthesis, rest = name.strip().partition("(")
    if not name.strip().endswith(")") or not parenthesis:
        return name, None
    found: dict[str, object] = {}
    for option in rest[:-1].split(","):
        keyword, equals, value = (part.strip() for part in option.partition("="))
        if not keyword and not equals:
            continue
        key, constraint = _understood(keyword, bool(equals), value)
        if key in found:
            raise ConstraintError(f"{_shown(keyword)} stands in the login twice")
        found[key] = constraint
    return plain.strip(), Constraints(**found)  # type: ignore[arg-type]


def _understood(keyword: str, has_value: bool, value: str) -> tuple[str, object]:
    word = keyword.lower()
    if word in _FLAGS:
        if has_value:
            raise ConstraintError(f"{_shown(keyword)} in a login takes no value")
        return _FLAGS[word], True
    if word not in (*_TEXTS, "since"):
        known = "NEW, UNREAD, URGENT, FROM=, SUBJECT=, SHOW=, OMIT= and SINCE="
        raise ConstraintError(f"{_shown(keyword)} is no constraint of a login; there are {known}")
    if not value:
        raise ConstraintError(f"{_shown(keyword)} in a login needs a value, like {word}=...")
    return (word, _instant(value)) if word == "since" else (_TEXTS[word], _spaced(value))


def _without_addresses(value: str) -> str:
    """What a field like From says beside addresses."""
    return " ".join(word for word in _ANGLE_ADDRESS.sub(" ", value).split() if "@" not in word)


def _spaced(text: str) -> str:
    """Text as it is compared: how a line was folded must not matter."""
    return " ".join(text.lower().split())


def _shown(keyword: str) -> str:
    """A word as it is shown to the client: it goes into a line of 512 octets."""
    return keyword[:40].upper() or "="


def _instant(text: str) -> datetime:
    found = _DATE.match(text)
    month = found[2].lower() if found is not None else ""
    if found is None or month not in _MONTHS:
        raise ConstraintError("SINCE in a login is written like 21 nov 2026 08:30 +0100")
    zone = None
    if found[6]:
        offset = timedelta(hours=int(found[7]), minutes=int(found[8]))
        if offset >= timedelta(hours=24):
            raise ConstraintError("SINCE in a login has a zone that there is not")
        zone = timezone(-offset if found[6] == "-" else offset)
    day, hour, minute = int(found[1]), int(found[4] or 0), int(found[5] or 0)
    try:
        moment = datetime(int(found[3]), _MONTHS.index(month) + 1, day, hour, minute, tzinfo=zone)
        # It is counted in the server's own zone, and where the calendar begins and ends there is no day before and behind.
        _ = moment - timedelta(days=1), moment + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ConstraintError("SINCE in a login has a day or a time that there is not") from None
    return moment


def _is_urgent(header: Header) -> bool:
    return any(
        value.lower().startswith(marks) for field, marks in _URGENT_VALUES.items() for value in header.all(field)
    )


_FLAGS = {"new": "unread", "unread": "unread", "urgent": "urgent"}

_TEXTS = {"from": "sender", "subject": "subject", "show": "show", "omit": "omit"}

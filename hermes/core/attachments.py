"""The names of the files that a message carries (RFC 2183 2.3, RFC 2045 5.1), also in other letters (RFC 2231, RFC 2047)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from hermes.core import encoded_words
from hermes.core.header import Header
from hermes.core.mime_parts import Parts

#: Names that are kept, each with so many characters, as file systems have them; of a longer one the end, where the extension is.
#: Whoever sends more files in one message sends an archive; and expressions go through all of them.
MAX_NAMES = 500
MAX_NAME = 255


# parameter = attribute ["*" section] ["*"] "=" value   (RFC 2231 7, RFC 2045 5.1)
_PARAMETER = re.compile(
    r";\s*(?P<attribute>file)?name(?:\*(?P<section>[0-9]{1,2}))?(?P<extended>\*)?\s*=\s*"
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;"]+))',
    re.IGNORECASE,
)
# extended-initial-value = [charset] "'" [language] "'" extended-other-values   (RFC 2231 7)
_CHARSET = re.compile(r"(?P<charset>[^']{0,40})'[^']{0,40}'")


class AttachmentNames:
    """A look at one message, its header first and then its body piece by piece, for :attr:`names`."""

    def __init__(self, header: bytes) -> None:
        self.names: list[str] = []
        self._parts = Parts(header, self._part)

    @property
    def over(self) -> bool:
        """True when no more can be found."""
        return self._parts.over or not self._parts.is_multipart

    def look(self, octets: bytes) -> None:
        """Look at the next piece of the body."""
        self._parts.look(octets)

    def _part(self, kind: bytes, header: bytes) -> bool:
        fields = Header(header)
        name = _name(fields.first("content-disposition") or "", "file") or _name(fields.first("content-type") or "", "")
        if name:
            self.names.append(name[-MAX_NAME:])
        return len(self.names) >= MAX_NAMES


def _name(value: str, attribute: str) -> str:
    """``filename``, or ``name``, of a field's parameters; empty where there is none."""
    plain, charset = "", ""
    pieces: dict[int, bytes] = {}
    for found in _PARAMETER.finditer(value):
        if (found["attribute"] or "").lower() != attribute:
            continue
        text = found["token"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
        section = int(found["section"] or 0)
        if not found["extended"] and found["section"] is None:
            plain = plain or text
            continue
        if found["extended"] and section == 0 and (beginning := _CHARSET.match(text)):
            charset, text = beginning["charset"], text[beginning.end() :]
        pieces.setdefault(section, unquote_to_bytes(text) if found["extended"] else text.encode())
    if pieces:
        octets = b"".join(pieces[section] for section in sorted(pieces))
        try:
            return octets.decode(charset if encoded_words.is_known(charset) else "utf-8", "replace")
        except (LookupError, ValueError):
            # A codec of Python that is none of texts.
            return octets.decode("utf-8", "replace")
    # RFC 2047 5 does not allow it, and many do it.
    return encoded_words.decoded(plain)

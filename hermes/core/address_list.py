"""
A long list of addresses and of patterns for them, in which one is found in microseconds however long it is.

An entry is ``joe@example.org``; ``example.org`` or ``*@example.org`` (all of that domain); ``*.example.org`` (all domains below
it); ``<>`` (the null sender, from which reports come); or any other text in which ``*`` stands for any run of characters and
``?`` for one. Case does not matter. Only entries of the last kind are tried one after another, and there may not be many of them.
"""

from __future__ import annotations

from hermes.core.address_pattern import NULL_SENDER
from hermes.core.mercury_expression import MAX_EXPRESSION, Expression

#: Entries with wildcards of their own are tried one by one, a microsecond each: those for one domain, and those for all.
MAX_TRIED = 500

#: A path has 256 octets at most (RFC 5321 4.5.3.1.3). What is longer in a header is no address.
MAX_ADDRESS = 256

_WILD = ("*", "?")


class AddressList:
    """The list; :meth:`add` fills it."""

    def __init__(self) -> None:
        self._addresses: set[str] = set()
        self._domains: set[str] = set()
        self._above: set[str] = set()
        # Expressions by the domain that they are for; under the empty name those for all.
        self._tried: dict[str, list[tuple[str, Expression]]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many entries were added."""
        return self._count

    def add(self, text: str) -> None:
        """Add an entry; raise ValueError with a remedy."""
        if len(text) > MAX_ADDRESS:
            raise ValueError(f"has {len(text)} characters: an address has {MAX_ADDRESS} at most")
        if any(character.isspace() or character in "," for character in text):
            raise ValueError(
                f"{text!r} is no address: write one a line, like joe@example.org, *@example.org or *.example.org"
            )
        entry = text.lower()
        local_part, at, domain = entry.rpartition("@")
        if entry == NULL_SENDER:
            self._addresses.add("")
        elif _plain(entry) and at and local_part:
            self._addresses.add(entry)
        elif _plain(domain) and local_part in ("", "*"):
            if not domain:
                raise ValueError(f"{text!r} names no domain: write one like *@example.org")
            self._domains.add(domain)
        elif domain.startswith("*.") and _plain(domain[2:]) and local_part in ("", "*"):
            self._above.add(domain[2:])
        else:
            self._try(entry, domain if at and _plain(domain) else "")
        self._count += 1

    def _try(self, entry: str, domain: str) -> None:
        tried = self._tried.setdefault(domain, [])
        if len(tried) >= MAX_TRIED:
            whose = f"for {domain}" if domain else "that name no domain"
            raise ValueError(f"more than {MAX_TRIED} entries {whose} have wildcards: write *@DOMAIN or whole addresses")
        tried.append((entry, Expression(_expression(entry))))

    def find(self, address: str) -> str:
        """The entry that an address is in; empty when there is none."""
        wanted = address.lower()
        if wanted in self._addresses:
            return wanted or NULL_SENDER
        _, at, domain = wanted.rpartition("@")
        if not at or len(wanted) > MAX_ADDRESS:
            return ""
        if domain in self._domains:
            return f"*@{domain}"
        if self._above:
            _, dot, above = domain.partition(".")
            while dot:
                if above in self._above:
                    return f"*.{above}"
                _, dot, above = above.partition(".")
        for tried in (self._tried.get(domain), self._tried.get("")):
            for entry, expression in tried or ():
                if expression.matches(wanted):
                    return entry
        return ""


def _plain(text: str) -> bool:
    return not any(sign in text for sign in _WILD)


def _expression(entry: str) -> str:
    """The same as Mercury's expression, in which more signs are special."""
    text = "".join(f"[{character}]" if character in "[+/" else character for character in entry)
    assert len(text) <= MAX_EXPRESSION  # an address is short, and no sign becomes more than three
    return text

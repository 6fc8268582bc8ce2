"""Files with an address a line: the killfile, the exceptions from compliance, and the addresses that are no longer valid."""

from __future__ import annotations

from collections.abc import Mapping

from hermes.core.address_list import MAX_ADDRESS, AddressList
from hermes.core.reply import Reply
from hermes.core.transaction_filter import MAX_REPLY_OCTETS
from hermes.policy.edited_file import Lines

#: What is said of an address that is no longer valid, where the file says nothing.
MOVED = "This address is no longer valid"


def parse_addresses(lines: Lines) -> AddressList:
    """A list of addresses and patterns, one a line."""
    found = AddressList()
    for number, text in lines:
        try:
            found.add(text)
        except ValueError as error:
            lines.wrong(number, str(error))
    return found


def parse_moved(lines: Lines) -> Mapping[str, tuple[Reply, str]]:
    """
    Addresses that are no longer valid, in lower case: what is said of each, and where that stands.

    A line is an address, and then what is to be said, if that is not the usual. RFC 3463 3.2 has X.1.6 for it: the mailbox has
    moved, and there is no forwarding address.
    """
    found: dict[str, tuple[Reply, str]] = {}
    for number, text in lines:
        address, _, said = text.partition(" ") if " " in text else text.partition("\t")
        said = said.strip().strip('"')
        local_part, at, domain = address.rpartition("@")
        if not at or not local_part or not domain or len(address) > MAX_ADDRESS:
            lines.wrong(
                number, f"{address!r} is no address: write one like joe@example.org, then what is to be said of it"
            )
        elif not said.isascii() or not said.isprintable() or len(said) > MAX_REPLY_OCTETS:
            lines.wrong(number, f"the text is said over the wire: write ASCII, {MAX_REPLY_OCTETS} characters at most")
        else:
            found[address.lower()] = Reply.of(550, "5.1.6", said or MOVED), f"{lines.path}:{number}"
    return found

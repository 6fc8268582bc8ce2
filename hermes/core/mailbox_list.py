"""The addresses in a field like ``From:`` (RFC 5322 3.4), with comments, quotes, groups and routes, read in one pass."""

from __future__ import annotations

#: More of a field is not looked at: a hundred people with long names. It takes a millisecond.
MAX_FIELD_CHARACTERS = 16 * 1024


def addresses(value: str) -> list[str]:
    """
    The addresses, as they are written but without white space and comments, in order; what is none is left out.

    ``value`` is unfolded; more than :data:`MAX_FIELD_CHARACTERS` of it are not read.
    """
    found: list[str] = []
    for item in _items(value[:MAX_FIELD_CHARACTERS]):
        # angle-addr = [CFWS] "<" [obs-route] addr-spec ">" [CFWS],  obs-route = "@" domain *("," "@" domain) ":"
        address = item.rpartition("<")[2].partition(">")[0]
        if address.startswith("@"):
            address = address.partition(":")[2]
        local_part, _, domain = address.rpartition("@")
        # A quote in the domain: the @ stands inside a quoted string, and the whole is a name.
        if local_part and domain and '"' not in domain:
            found.append(address)
    return found


def _items(value: str) -> list[str]:
    """What stands between commas, without comments and white space; quoted strings stay whole, names of groups go."""
    items, item, depth, quoted, bracketed = [], "", 0, False, False
    characters = iter(value)
    for character in characters:
        if character == "\\" and (quoted or depth):
            # quoted-pair
            escaped = character + next(characters, "")
            item += escaped if quoted else ""
        elif quoted:
            quoted = character != '"'
            item += character
        elif character == "(":
            depth += 1
        elif depth:
            depth -= character == ")"
        elif character in ",;" and not bracketed:
            items.append(item)
            item = ""
        elif character == ":" and not bracketed:
            # group = display-name ":" [group-list] ";" [CFWS]
            item = ""
        elif not character.isspace():
            quoted = character == '"'
            bracketed = character == "<" or (bracketed and character != ">")
            item += character
    # What never ends is nothing.
    return items if quoted or depth else [*items, item]

"""The addresses in a field like ``From:`` (RFC 5322 3.4), with comments, quotes, groups and routes, read in one pass."""

from __future__ import annotations

#: More of a field is not looked at: a hundred people with long names. It takes a millisecond.
MAX_FIELD_CHARACTERS = 16 * 1024


def addresses(value: str) -> list[str]:
    """
    The addresses, as they are written but without white space and comments, in order; what is none is left out.

    ``value`` is unfolded; more than :data:`MAX_FIELD_CHARACTERS` of it are not read.
    """
    return read(value[:MAX_FIELD_CHARACTERS])[0]


def read(value: str) -> tuple[list[str], list[str]]:
    """The addresses, however many, and what stands in the place of one and is none: a name alone, or what never ends."""
    found: list[str] = []
    strays: list[str] = []
    items, unfinished = _items(value)
    for item in items:
        # angle-addr = [CFWS] "<" [obs-route] addr-spec ">" [CFWS],  obs-route = "@" domain *("," "@" domain) ":"
        address = item.rpartition("<")[2].partition(">")[0]
        if address.startswith("@"):
            address = address.partition(":")[2]
        local_part, _, domain = address.rpartition("@")
        # A quote in the domain: the @ stands inside a quoted string, and the whole is a name.
        if local_part and domain and '"' not in domain:
            found.append(address)
        elif item:
            strays.append(address or item)
    return found, [*strays, unfinished] if unfinished else strays


def _items(value: str) -> tuple[list[str], str]:
    """
    What stands between commas, without comments and white space; quoted strings stay whole, names of groups go.

    What has a quote or a parenthesis that never ends is none of them, and comes apart.
    """
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
    return (items, item + "(" * bool(depth)) if quoted or depth else ([*items, item], "")

"""
Mercury's file FORWARD, one for each user::

    ; where my mail goes
    Forward-To : joe@example.net
    Deliver-Also : Y

``Forward-To`` may be repeated, with one address each. Lines that begin with ``/``, ``*``, ``#`` or ``;`` are comments.
"""

from __future__ import annotations

from hermes.directory.accounts import check_address


def parse_forward(text: str) -> tuple[tuple[str, ...], bool]:
    """The addresses, and whether the mail stays here as well; raise ValueError with the number of the line."""
    addresses: list[str] = []
    deliver_also = False
    for number, line in enumerate(text.partition("\x1a")[0].splitlines(), 1):
        content = line.strip().lstrip("\ufeff")
        if not content or content[0] in "/*#;":
            continue
        key, colon, value = (part.strip() for part in content.partition(":"))
        try:
            match key.lower(), colon:
                case "forward-to", ":":
                    addresses.append(check_address(value))
                case "deliver-also", ":" if value[:1].lower() in {"y", "n"}:
                    deliver_also = value[:1].lower() == "y"
                case _:
                    raise ValueError(f"{content[:60]!r} is neither Forward-To : ADDRESS nor Deliver-Also : Y or N")
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return tuple(dict.fromkeys(addresses)), deliver_also

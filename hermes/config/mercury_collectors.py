"""
Mercury's list of foreign boxes, ``MERCURYD.DAT``, as sections ``[collector:NAME]``.

One box a line: ``host,user,password,local,default``, with ``-`` for what is empty. Newer versions write a heading
``[Encrypted]``, passwords that only Mercury can read, and a sixth field, a number for port and TLS whose meaning nobody has
published. What cannot be carried over is said in a comment: it is for the administrator to fill in.
"""

from __future__ import annotations

import re

from hermes.config.errors import MercuryFileError

#: A file of Mercury has some dozens of boxes at the most.
MAX_OCTETS = 256 * 1024

_MIN_FIELDS, _MAX_FIELDS = 4, 6
_MAX_NAME_CHARACTERS = 40


def sections_of_boxes(text: str, path: str) -> str:
    """The sections that say the same, in the same order; raise :class:`MercuryFileError`."""
    problems: list[str] = []
    sections: dict[str, str] = {}
    encrypted = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.lower() == "[encrypted]":
            encrypted = True
            continue
        fields = ["" if field.strip() == "-" else field.strip() for field in line.split(",")]
        if not _MIN_FIELDS <= len(fields) <= _MAX_FIELDS:
            problems.append(f"{path}:{number}: expected host,user,password,local,default")
        elif not fields[0] or not fields[1]:
            problems.append(f"{path}:{number}: a box needs a host and a user")
        else:
            name = _name(fields[1], sections)
            sections[name] = _section(name, [*fields, "", ""][:_MAX_FIELDS], encrypted=encrypted)
    if problems:
        raise MercuryFileError("\n".join(problems))
    return "\n".join(sections.values())


def _section(name: str, fields: list[str], *, encrypted: bool) -> str:
    host, user, password, local, default, flags = fields
    host, _, port = host.partition(":")
    lines = [f"[collector:{name}]", f"host = {host}"]
    if flags:
        lines.append(f"# Mercury's number for port and TLS was {flags}.")
    # What the file says nothing about, and Mercury did in the clear, is not done in the clear here without being asked.
    lines += [
        "# With a server that has no TLS: tls = none, and auth = user.",
        f"port = {port if port.isdigit() else 110}",
    ]
    lines += ["tls = starttls", f"username = {user}"]
    if encrypted or not password:
        lines += ["# Mercury alone can read its password: write it into this file in the data directory."] * encrypted
        lines.append(f"password = file:{name}.password")
    else:
        lines.append(f"password = {password}")
    if local:
        lines.append(f"account = {local}")
    else:
        lines.append(
            "# Mercury looked for recipients in To, Cc and Bcc too; they say little about for whom a message came."
        )
        lines += [f"default = {default}"] if default else []
    return "\n".join(lines) + "\n"


def _name(user: str, taken: dict[str, str]) -> str:
    """A name for the section that is not taken."""
    plain = re.sub(r"[^a-z0-9-]+", "-", user.partition("@")[0].lower()).strip("-")[:_MAX_NAME_CHARACTERS] or "box"
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    return name

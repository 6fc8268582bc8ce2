"""
The folders of a mailbox: directories beside ``new`` and ``cur`` whose names begin with a dot (Maildir++).

``.Work.2026`` is the folder 2026 in the folder Work. Letters outside ASCII are in the modified UTF-7 of RFC 3501 5.1.3, as
Courier and Dovecot write them. The mailbox itself is the folder with the empty name.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator

from hermes.config.durable import sync_directory
from hermes.mailbox import maildir

#: The empty file that marks a folder, as the Maildir++ specification asks.
MARK = "maildirfolder"

#: A file system takes 255 for a name, and what stands in front of it in a mark (:mod:`hermes.mailbox.departed`) has to fit, too.
MAX_NAME_OCTETS = 240

#: Folders looked at: people have hundreds at most.
MAX_FOLDERS = 10_000

_OUTSIDE_ASCII = re.compile(r"[^\x20-\x7e]+")


def named(text: str) -> str:
    """The directory of a folder that people call ``Work/2026``; raise ValueError when there can be none."""
    if not text or text.upper() == "INBOX":
        return ""
    if "." in text or "\0" in text or not text.isprintable():
        raise ValueError(f"{text!r} can not be the name of a folder: it may hold no dot, and / stands between folders")
    name = "." + ".".join(map(_encoded, text.split("/")))
    check(name)
    return name


def check(name: str) -> None:
    """Raise ValueError for a directory that can not be a folder."""
    parts = name[1:].split(".")
    if not name.startswith(".") or "/" in name or not all(parts) or len(os.fsencode(name)) > MAX_NAME_OCTETS:
        raise ValueError(f"{name!r} can not be the directory of a folder")


def _encoded(text: str) -> str:
    # modified UTF-7: "&" begins what is not ASCII, as base64 of UTF-16 with "," for "/", and "-" ends it   (RFC 3501 5.1.3)
    def shifted(found: re.Match[str]) -> str:
        letters = b64encode(found[0].encode("utf-16-be", "surrogatepass")).decode("ascii")
        return f"&{letters.rstrip('=').replace('/', ',')}-"

    return _OUTSIDE_ASCII.sub(shifted, text.replace("&", "&-"))


def inside(path: str) -> Iterator[str]:
    """The names of the folders in the maildir at ``path``, the mailbox itself not among them; none when it is not there."""
    try:
        entries = os.scandir(path)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield entry.name


def make(path: str, name: str) -> str:
    """Make a folder, or complete it; where it is."""
    if not name:
        maildir.make(path)
        return path
    folder = os.path.join(path, name)
    maildir.make(path)
    maildir.make(folder)
    mark = os.path.join(folder, MARK)
    if not os.path.lexists(mark):
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, maildir.FILE_MODE))
        sync_directory(folder)
    return folder

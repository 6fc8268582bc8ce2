"""``[directory]`` and ``[domain:NAME]``: what addresses stand for, beside the accounts."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class DirectorySettings:
    """What addresses stand for: aliases, synonyms, groups, people's names. docs/directory.md tells how the files are written."""

    aliases: tuple[str, ...] = setting(
        "words",
        ("aliases",),
        "Files of aliases, in the data directory unless they begin with /. One need not be there.",
    )
    synonyms: tuple[str, ...] = setting("words", ("synonyms",), "Files of synonyms, in the same way.")
    groups: tuple[str, ...] = setting("words", ("groups",), "Files of groups and their members, in the same way.")
    depth: int = setting(
        "number", 5, "How many steps may lead from an address to its mailbox: aliases, groups, forwards."
    )
    name_forms: bool = setting(
        "flag", False, "Whether First.Last and I.Last, or with _, of an account's full name are addresses of it."
    )
    srs: bool = setting(
        "flag", True, "Whether the sender of what is sent on to another server is rewritten, as SPF demands."
    )
    public: str = setting(
        "path", "public", "Directory of the public folders that PUBLIC: delivers to, one maildir each."
    )
    public_quota: int = setting(
        "size",
        10 * 1024**3,
        "Size of a public folder, so that one that nobody looks at does not fill the disk. Mail for one that is full waits. "
        "0: no limit.",
    )
    programs: bool = setting("flag", False, "Whether an alias may hand mail to a program, |command.")
    program_time: int = setting("time", 60, "How long a program may take for one message.")


@attrs.frozen
class DomainSettings:
    """What holds at some of the server's domains alone. One section for each group of domains, any number."""

    domains: tuple[str, ...] = setting("words", (), "The domains, each one of [hermes] domains.")
    aliases: tuple[str, ...] = setting("words", (), "Files of aliases that hold at these domains alone.")
    mailbox: str = setting(
        "text", "", "Account or address that gets all mail of the domain, whoever it is for. Empty: none."
    )
    catch_all: str = setting(
        "text", "", "Account or address that gets what is for nobody else at the domain. Empty: none."
    )

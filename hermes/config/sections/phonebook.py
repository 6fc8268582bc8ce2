"""The section of the phone book server."""

from __future__ import annotations

import attrs

from hermes.config.setting import Network, setting


@attrs.frozen
class PhoneBookSettings:
    """Looking people up by the PH protocol (RFC 2378). Off unless it listens; nothing can be changed by it."""

    listen: tuple[str, ...] = setting("listeners", (), "Where it is offered, usually *:105.")
    books: tuple[str, ...] = setting(
        "words",
        (),
        "Files of address books: CSV, LDIF or vCard, by the end of their names; relative to the data directory.",
    )
    accounts: bool = setting("flag", False, "Whether the accounts of this server, with their names, are in the book.")
    directories: tuple[str, ...] = setting(
        "words", (), "Directory services whose people are in the book: the names of [ldap:NAME] sections."
    )
    fields: tuple[str, ...] = setting(
        "words", ("alias", "name", "email"), "The fields that everybody may see and search."
    )
    local_fields: tuple[str, ...] = setting(
        "words",
        ("alias", "name", "email", "phone", "fax", "department", "title", "address"),
        "The fields that clients in local_networks, and on this machine, may see and search.",
    )
    local_networks: tuple[Network, ...] = setting("networks", (), "Clients that may see more.")
    max_matches: int = setting("number", 25, "Entries that a query may find; when there are more, none are shown.")
    notice: str = setting("text", "", "What status says: whose book this is.")
    rate: int = setting("number", 60, "Queries a minute from one address; this machine is exempt.")
    timeout: int = setting("time", 60, "Silence after which a session is ended.")

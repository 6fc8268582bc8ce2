"""Directory services that have accounts."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class LDAPSettings:
    """
    Accounts in a directory service. One section for each, any number; they are asked after accounts.ini, in this order.

    Passwords are checked by the directory itself (a bind). docs/directory.md has examples for OpenLDAP, Active Directory and NDS.
    """

    servers: tuple[str, ...] = setting(
        "words",
        (),
        "Its servers, ldap://HOST:PORT or ldaps://HOST:PORT; the first that answers is asked.",
    )
    profile: str = setting(
        "choice",
        "openldap",
        "What kind of directory it is: openldap (inetOrgPerson), ad (Active Directory) or nds (NetWare NDS, eDirectory).",
        choices=("openldap", "ad", "nds"),
    )
    starttls: bool = setting(
        "flag", True, "Whether ldap:// begins TLS before anything else; no is possible on this machine alone."
    )
    authority: str = setting("path", "", "PEM file with the authority to trust instead of the system's.")
    bind_dn: str = setting("text", "", "As whom people are looked for. Empty: anonymous.")
    bind_password: str = setting("secret", "", "The password for it.")
    base: str = setting(
        "text", "", "Distinguished name below which people and groups are. With nds use contexts instead."
    )
    contexts: tuple[str, ...] = setting(
        "words",
        (),
        "For nds: contexts as NetWare writes them, sales.acme or OU=sales.O=acme; /sales.acme with all below it, /[root] the "
        "whole tree. sales.acme: sales.example.org makes the names in it addresses at that domain.",
    )
    filter: str = setting("text", "", "A filter that people must match besides, like (employeeType=staff).")
    names: str = setting(
        "choice",
        "short",
        "What accounts and mailboxes are called: short, by the name alone, of which there must be one; full: joe.sales.acme.",
        choices=("short", "full"),
    )
    windows_domains: tuple[str, ...] = setting(
        "words",
        (),
        "Names of the Windows domain, for logins like EXAMPLE\\joe: EXAMPLE, ad.example.org. Empty: with ad those that base says "
        "(dc=ad,dc=example,dc=org: ad.example.org and AD), else none.",
    )
    login_attribute: str = setting("text", "", "Attribute with the account's name. Empty: as the profile says.")
    address_attributes: tuple[str, ...] = setting(
        "words", (), "Attributes with addresses, the one to write from first. Empty: as the profile says."
    )
    synonym_attributes: tuple[str, ...] = setting(
        "words",
        (),
        "Attributes with synonyms: further addresses, and names without a domain, which hold at every domain.",
    )
    forward_attribute: str = setting(
        "text", "", "Attribute with addresses to which mail goes on. Empty: as the profile says."
    )
    deliver_also: bool = setting("flag", False, "Whether what goes on is kept in the mailbox as well.")
    groups: bool = setting("flag", True, "Whether a group that has an address leads to its members.")
    no_mail: str = setting("text", "", "Distinguished name of a group whose members have no mail (NOMAIL).")
    mail_users: str = setting("text", "", "Distinguished name of a group; who is not in it has no mail (MAILUSERS).")
    connections: int = setting("number", 4, "Connections, and threads, for questions at once.")
    timeout: int = setting("time", 5, "How long a server has for an answer.")
    remember: int = setting("time", 60, "How long an answer holds; passwords are never remembered.")
    grace: int = setting("time", 600, "How much longer what was found holds while no server answers.")

"""
Every setting of Hermes: one frozen class for each section of ``config.ini``, with default, unit and meaning.

The reference (``etc/config.ini``, ``docs/configuration.md``) is generated from these classes, ``hermes config explain`` prints
them, and the loader turns text into them. Every default is safe and works.

How a value is written follows from its kind: ``text``; ``number``; ``size`` (octets: ``50M``); ``time`` (seconds:
``1h 30m``); ``flag`` (yes or no); ``choice``; ``words`` (a list with commas); ``listeners`` (a list of ``127.0.0.1:25``,
``[::1]:25``, ``*:25`` for every address, ``unix:PATH`` or ``systemd:NAME``); ``networks`` (a list of addresses and CIDR
ranges); ``ranges`` (the same, and ``FIRST-LAST``); ``times`` (a list of times); ``path`` (relative to the data directory
unless it begins with ``/``; the loader makes it absolute); ``secret`` (the value, or ``file:PATH``; the loader reads the
file).

A section that may stand there more than once, each time with a name of its own (``[access:office]``), is a field of
:class:`Settings` with the class in its metadata; its value holds the sections by name, in the order of the file.

The sections of one subject stand in a file of their own under ``hermes/config/sections``; this one has the first ones, and
:class:`Settings`, which holds them all.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from hermes.config.sections.accounts import AccountsSettings
from hermes.config.sections.backup import BackupSettings
from hermes.config.sections.certificate import CertificateSettings
from hermes.config.sections.collector import CollectorSettings
from hermes.config.sections.compliance import ComplianceSettings
from hermes.config.sections.destination import DestinationSettings
from hermes.config.sections.directory import DirectorySettings, DomainSettings
from hermes.config.sections.dkim import DKIMSettings, NamedDKIMSettings
from hermes.config.sections.dns import DNSSettings
from hermes.config.sections.dnsbl import DNSBLSettings
from hermes.config.sections.drop import DropSettings
from hermes.config.sections.filters import FilterSettings, FiltersSettings
from hermes.config.sections.finger import FingerSettings
from hermes.config.sections.greylist import GreylistSettings
from hermes.config.sections.ldap import LDAPSettings
from hermes.config.sections.manhole import ManholeSettings
from hermes.config.sections.metrics import MetricsSettings
from hermes.config.sections.oauth import OAuthSettings
from hermes.config.sections.oauth_client import OAuthClientSettings
from hermes.config.sections.offenders import OffendersSettings
from hermes.config.sections.password_server import PasswordServerSettings
from hermes.config.sections.phonebook import PhoneBookSettings
from hermes.config.sections.queue import QueueSettings
from hermes.config.sections.rates import RatesSettings
from hermes.config.sections.reports import ReportsSettings
from hermes.config.sections.routes import RouteSettings
from hermes.config.sections.schedule import ScheduleSettings
from hermes.config.sections.sender_checks import SenderChecksSettings
from hermes.config.sections.smarthost import NamedSmarthostSettings, SmarthostSettings
from hermes.config.sections.summary import SummarySettings
from hermes.config.sections.tls_reports import TLSReportsSettings
from hermes.config.sections.transcripts import TranscriptsSettings
from hermes.config.setting import Network, setting
from hermes.core.address_range import AddressRange

#: The servers that connection control knows; submission and LMTP are parts of smtp.
ACCESS_SERVERS = ("smtp", "pop3", "poppass", "finger", "phonebook", "metrics")


@attrs.frozen
class HermesSettings:
    """Who this server is."""

    hostname: str = setting(
        "text", "localhost", "The name under which this server greets others; it should resolve to it."
    )
    domains: tuple[str, ...] = setting("words", (), "The mail domains whose addresses are mailboxes here.")
    postmaster: str = setting(
        "text", "", "Address of the person in charge, a mailbox here; mail to postmaster goes there."
    )
    data: str = setting("path", "data", "Directory of everything that Hermes keeps; relative to this file.", fixed=True)
    workers: str = setting(
        "text",
        "1",
        "Processes that share the work, each a whole server with a part of the queue: a number, or cores for one to each "
        "processor core. Each takes memory of its own; see docs/workers.md.",
        fixed=True,
    )
    long_turn_ms: int = setting(
        "number",
        50,
        "Milliseconds that a piece of work may keep everybody else waiting; what takes longer is counted, and named in the log. "
        "0: nobody looks.",
        fixed=True,
    )


@attrs.frozen
class TLSSettings:
    """The server's certificate."""

    certificate: str = setting("path", "", "PEM file with the certificate and its chain. Empty: no TLS is offered.")
    key: str = setting("path", "", "PEM file with the private key.")


@attrs.frozen
class SMTPSettings:
    """Receiving mail: from other servers, from programs and from people."""

    listen: tuple[str, ...] = setting("listeners", (), "Where other servers and local programs deliver, usually *:25.")
    submission: tuple[str, ...] = setting(
        "listeners", (), "Where people send mail, with STARTTLS and a login, usually *:587."
    )
    submissions: tuple[str, ...] = setting("listeners", (), "The same with TLS from the first octet, usually *:465.")
    lmtp: tuple[str, ...] = setting(
        "listeners", (), "Where other programs deliver by LMTP; only loopback or unix: make sense."
    )
    max_size: int = setting("size", 50 * 1024**2, "Largest message accepted.")
    relay: str = setting(
        "choice",
        "authenticated",
        "Who may send to other domains. authenticated: who has logged in, who is in relay_networks, and peers of [access:NAME] "
        "with relay = yes. strict: only the latter two. only-authenticated: only who has logged in. normal: as authenticated, "
        "and who is in a private network and gives a sender address that is a mailbox here.",
        choices=("authenticated", "strict", "only-authenticated", "normal"),
    )
    relay_networks: tuple[Network, ...] = setting(
        "networks", (), "Clients that may send to other domains without a login. Keep it empty, or as small as can be."
    )
    front_ends: tuple[Network, ...] = setting(
        "networks",
        (),
        "Load balancers and filters that stand in front of this server and are believed when they say who their client is.",
    )
    proxy_protocol: bool = setting(
        "flag",
        False,
        "Whether front ends begin every connection with a header of the PROXY protocol; without one they are not served.",
    )
    etrn_networks: tuple[Network, ...] = setting(
        "networks", (), "Clients that may ask for the mail that waits for a domain (ETRN). Empty: it is not offered."
    )
    auth_without_tls: str = setting(
        "choice", "never", "Whether a login in the clear is allowed, and from where.", choices=("never", "loopback")
    )
    bare_newlines: str = setting(
        "choice",
        "refuse",
        "What to do with a CR or LF that stands alone in a message: refuse it, or make it a proper line end.",
        choices=("refuse", "normalize"),
    )
    greeting_file: str = setting(
        "path",
        "",
        "File with further lines for the greeting, like Mercury's GREETING.MER: 512 characters of ASCII at most.",
    )
    from_must_be_own: bool = setting(
        "flag",
        False,
        "Whether the From field of what an account sends must hold its own addresses only; the envelope's sender always must.",
    )
    max_recipients: int = setting(
        "number", 1000, "Recipients of one message; RFC 5321 4.5.3.1.8 asks for 100 at least."
    )
    max_errors: int = setting("number", 20, "Refused commands after which a session is ended.")
    max_unknown_recipients: int = setting(
        "number", 15, "Recipients that do not exist here, named by strangers, after which a session is ended."
    )
    max_relay_attempts: int = setting(
        "number", 4, "Recipients elsewhere, named by those who may not relay, after which a session is ended."
    )
    error_delay: int = setting(
        "time", 10, "The longest that a refusal waits where there have been many; it begins with a second and doubles."
    )
    max_commands: int = setting("number", 5000, "Commands after which a session is ended.")
    max_messages: int = setting("number", 1000, "Messages in one session, announced by LIMITS.")
    timeout: int = setting("time", 300, "Silence after which a session is ended; RFC 5321 4.5.3.2.7 asks for 5m.")
    session_time: int = setting("time", 6 * 3600, "Longest session, however busy.")


@attrs.frozen
class LimitsSettings:
    """How much one peer may ask for. Connections over a limit are told so with 421 and may come back."""

    connections: int = setting("number", 1000, "Connections at once, all servers together.")
    per_address: int = setting("number", 20, "Connections at once from one address (IPv6: one /64).")
    per_network: int = setting("number", 100, "Connections at once from one network (IPv4 /24, IPv6 /48).")
    rate: int = setting("number", 120, "New connections a minute from one address.")
    login_failures: int = setting("number", 10, "Wrong passwords within ten minutes after which an address must wait.")
    login_failures_network: int = setting(
        "number", 40, "Wrong passwords within ten minutes after which a network must wait (IPv4 /24, IPv6 /48)."
    )
    login_failures_account: int = setting(
        "number",
        20,
        "Wrong passwords within an hour, from wherever, after which an account can be entered only from addresses from which "
        "somebody has logged in to it within a month.",
    )
    login_delay: int = setting(
        "time",
        30,
        "The longest that the answer to a wrong password waits; it begins with a second and doubles each time.",
    )
    exempt_loopback: bool = setting("flag", True, "Whether connections from this machine are free of these limits.")


@attrs.frozen
class AccessSettings:
    """
    Connection control: who may connect, and who has rights that others have not. One section for each entry, any number.

    Of all entries that hold an address the narrowest range decides; among ranges of one size the first in the file. Who is
    in no entry may connect like everybody. A peer at a UNIX socket has no address and is in none.
    """

    addresses: tuple[AddressRange, ...] = setting("ranges", (), "Whom the entry is about.")
    action: str = setting(
        "choice",
        "allow",
        "Whether they may connect. To refuse a network except for some of it, write two entries.",
        choices=("allow", "refuse"),
    )
    servers: tuple[str, ...] = setting(
        "words",
        (),
        "The servers at which the entry holds: smtp (with submission and LMTP), pop3, poppass, finger, phonebook, metrics. "
        "Empty: all.",
    )
    relay: bool = setting(
        "flag", False, "Whether they may send to other domains without a login, as those in smtp.relay_networks may."
    )
    exempt: bool = setting(
        "flag",
        False,
        "Whether they are free of [limits], [rates] and new_recipients, and never on the list of offenders.",
    )
    unfiltered: bool = setting("flag", False, "Whether their mail is free of filters.")
    login_in_clear: bool = setting(
        "flag",
        False,
        "Whether they may log in without TLS, at smtp and pop3: everybody on the way can read the password.",
    )
    log: bool = setting("flag", False, "Whether a transcript of each of their sessions is kept, see [transcripts].")
    text: str = setting("text", "", "What those who are refused are told. Empty: that they may not connect.")


@attrs.frozen
class DirectSettings:
    """Delivering straight to the recipients' servers."""

    enabled: bool = setting("flag", False, "Whether to deliver directly. A smart host, when there is one, comes first.")
    nameservers: tuple[str, ...] = setting(
        "words", (), "Name servers, as in dns.nameservers, which is the place for them now."
    )
    port: int = setting("number", 25, "Port of the recipients' servers; other than 25 only for tests.")
    tls: str = setting(
        "choice",
        "opportunistic",
        "STARTTLS: never, where it is offered, or always (mail for servers that do not offer it then waits).",
        choices=("none", "opportunistic", "required"),
    )
    dane: bool = setting(
        "flag",
        True,
        "Whether TLSA records of servers are obeyed (DANE); it takes name servers that check DNSSEC and are trusted, see [dns].",
    )
    mta_sts: bool = setting(
        "flag",
        True,
        "Whether the policies that domains publish for their mail by HTTPS (MTA-STS) are fetched and obeyed.",
    )
    connections: int = setting("number", 50, "Connections at once, all destinations together.")
    connections_per_destination: int = setting(
        "number",
        5,
        "Connections at once to one destination at most. It begins with one, gets more as long as it takes what it is given, and "
        "fewer when it does not.",
    )
    waiting: int = setting(
        "number",
        500,
        "Deliveries to servers that keep us waiting, which do not count as connections and keep no others back. When an eighth "
        "of them are silent, those that come on top and say nothing for ten seconds are tried again later.",
    )
    loopback: bool = setting("flag", False, "Whether a destination on this machine may be delivered to; for tests.")


@attrs.frozen
class MailboxSettings:
    """Where mail is kept."""

    directory: str = setting("path", "mail", "Directory with one maildir for each account.")
    quota: int = setting("size", 0, "Size of a mailbox, unless its account says otherwise. 0: no limit.")


@attrs.frozen
class POP3Settings:
    """Reading mail by POP3."""

    listen: tuple[str, ...] = setting("listeners", (), "Where POP3 with STLS is offered, usually *:110.")
    listen_tls: tuple[str, ...] = setting("listeners", (), "The same with TLS from the first octet, usually *:995.")
    auth_without_tls: str = setting(
        "choice", "never", "Whether a login in the clear is allowed, and from where.", choices=("never", "loopback")
    )
    front_ends: tuple[Network, ...] = setting(
        "networks",
        (),
        "Load balancers that stand in front of this server and are believed when they say who their client is.",
    )
    proxy_protocol: bool = setting(
        "flag",
        False,
        "Whether front ends begin every connection with a header of the PROXY protocol; without one they are not served.",
    )
    timeout: int = setting("time", 600, "Silence after which a session is ended; RFC 1939 3 asks for 10m at least.")
    max_errors: int = setting("number", 20, "Refused commands after which a session is ended.")
    mark_read: bool = setting(
        "flag",
        True,
        "Whether what is fetched counts as read. Accounts can have words of their own for this and what follows, up to expire.",
    )
    show_read: bool = setting("flag", True, "Whether mail that has been read is offered.")
    show_status: bool = setting(
        "flag", False, "Whether messages get a line Status: that tells whether they have been read."
    )
    no_delete: bool = setting("flag", False, "Whether DELE is answered as always, and deletes nothing.")
    delete_is_final: bool = setting(
        "flag", False, "Whether what is marked deleted goes even when a session is cut off, against RFC 1939 6."
    )
    expire: int = setting("time", 0, "Age at which mail is removed from mailboxes, read or not, 1d or more. 0: never.")
    login_delay: int = setting(
        "time", 0, "How long an account has to wait after a login before its next one. 0: not at all."
    )
    xtnd_xmit: bool = setting(
        "flag",
        False,
        "Whether mail programs may send through their POP3 session (XTND XMIT), under the rules of [smtp] for submissions.",
    )


@attrs.frozen
class TraceSettings:
    """The answer to "where is my message?"."""

    keep: int = setting("time", 30 * 86400, "How long events are kept.")


@attrs.frozen
class LogSettings:
    """The mail log: one line for each fact."""

    file: str = setting(
        "path", "mail.log", "The file. Empty: no mail log (the trace is kept all the same).", fixed=True
    )
    format: str = setting(
        "choice", "text", "text: key=value words; json: one object a line.", choices=("text", "json"), fixed=True
    )
    level: str = setting(
        "choice",
        "info",
        "How much the server's own log says, with hermes run; twistd logs everything.",
        choices=("debug", "info", "warn", "error"),
        fixed=True,
    )


@attrs.frozen
class Settings:
    """All of ``config.ini``; ``file`` is its path, or empty for the defaults alone."""

    hermes: HermesSettings = attrs.field(factory=HermesSettings)
    tls: TLSSettings = attrs.field(factory=TLSSettings)
    certificate: Mapping[str, CertificateSettings] = attrs.field(
        factory=dict, hash=False, metadata={"repeated": CertificateSettings}
    )
    smtp: SMTPSettings = attrs.field(factory=SMTPSettings)
    limits: LimitsSettings = attrs.field(factory=LimitsSettings)
    access: Mapping[str, AccessSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": AccessSettings})
    offenders: OffendersSettings = attrs.field(factory=OffendersSettings)
    filters: FiltersSettings = attrs.field(factory=FiltersSettings)
    filter: Mapping[str, FilterSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": FilterSettings})
    rates: RatesSettings = attrs.field(factory=RatesSettings)
    compliance: ComplianceSettings = attrs.field(factory=ComplianceSettings)
    smarthost: SmarthostSettings = attrs.field(factory=SmarthostSettings)
    smarthosts: Mapping[str, NamedSmarthostSettings] = attrs.field(
        factory=dict, hash=False, metadata={"repeated": NamedSmarthostSettings, "kind": "smarthost"}
    )
    oauth_clients: Mapping[str, OAuthClientSettings] = attrs.field(
        factory=dict, hash=False, metadata={"repeated": OAuthClientSettings, "kind": "oauth_client"}
    )
    collector: Mapping[str, CollectorSettings] = attrs.field(
        factory=dict, hash=False, metadata={"repeated": CollectorSettings}
    )
    direct: DirectSettings = attrs.field(factory=DirectSettings)
    destination: Mapping[str, DestinationSettings] = attrs.field(
        factory=dict, hash=False, metadata={"repeated": DestinationSettings}
    )
    tls_reports: TLSReportsSettings = attrs.field(factory=TLSReportsSettings)
    dkim: DKIMSettings = attrs.field(factory=DKIMSettings)
    dkim_domains: Mapping[str, NamedDKIMSettings] = attrs.field(
        factory=dict, hash=False, metadata={"repeated": NamedDKIMSettings, "kind": "dkim"}
    )
    dns: DNSSettings = attrs.field(factory=DNSSettings)
    dnsbl: Mapping[str, DNSBLSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": DNSBLSettings})
    sender_checks: SenderChecksSettings = attrs.field(factory=SenderChecksSettings)
    greylist: GreylistSettings = attrs.field(factory=GreylistSettings)
    route: Mapping[str, RouteSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": RouteSettings})
    backup: Mapping[str, BackupSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": BackupSettings})
    drop: DropSettings = attrs.field(factory=DropSettings)
    queue: QueueSettings = attrs.field(factory=QueueSettings)
    schedule: ScheduleSettings = attrs.field(factory=ScheduleSettings)
    reports: ReportsSettings = attrs.field(factory=ReportsSettings)
    mailbox: MailboxSettings = attrs.field(factory=MailboxSettings)
    accounts: AccountsSettings = attrs.field(factory=AccountsSettings)
    ldap: Mapping[str, LDAPSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": LDAPSettings})
    oauth: OAuthSettings = attrs.field(factory=OAuthSettings)
    directory: DirectorySettings = attrs.field(factory=DirectorySettings)
    domain: Mapping[str, DomainSettings] = attrs.field(factory=dict, hash=False, metadata={"repeated": DomainSettings})
    pop3: POP3Settings = attrs.field(factory=POP3Settings)
    poppass: PasswordServerSettings = attrs.field(factory=PasswordServerSettings)
    finger: FingerSettings = attrs.field(factory=FingerSettings)
    phonebook: PhoneBookSettings = attrs.field(factory=PhoneBookSettings)
    summary: SummarySettings = attrs.field(factory=SummarySettings)
    trace: TraceSettings = attrs.field(factory=TraceSettings)
    transcripts: TranscriptsSettings = attrs.field(factory=TranscriptsSettings)
    log: LogSettings = attrs.field(factory=LogSettings)
    metrics: MetricsSettings = attrs.field(factory=MetricsSettings)
    manhole: ManholeSettings = attrs.field(factory=ManholeSettings)
    file: str = ""

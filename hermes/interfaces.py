"""
The seams of Hermes: what the parts of the engine room promise to one another and to the services.

Every method that may have to wait is a coroutine method. Expected mail outcomes are values (:mod:`hermes.core.outcome`);
an exception is a fault, and whoever meets one answers "try later".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.cred.credentials import ICredentials
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import Attribute, Interface

from hermes.core.access_entry import AccessEntry
from hermes.core.account import Account, Resolution
from hermes.core.dns_answer import Answer, Budget, MailExchanger
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event
from hermes.core.expansion import Expansion
from hermes.core.fetched import Fetched
from hermes.core.message import (
    Content,
    NewMessage,
    QueuedMessage,
    QueuedRecipient,
    Replaced,
    Settlement,
    Signature,
)
from hermes.core.offender import Network, Offender
from hermes.core.order import Chosen, Done, Order
from hermes.core.outcome import Outcome, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.selection import Selection
from hermes.core.transaction import Transaction
from hermes.protocols.scram_keys import ScramKeys


class SpoolFullError(Exception):
    """The disk has no room: the message was not accepted; answer 452 (RFC 5321 4.2.3)."""


class IGroupWorker(Interface):
    """A thread of its own that takes everything that waits at once: so one fsync serves many."""

    def start(perform: Callable[[list[Any]], list[Any]]) -> None:
        """
        Start the thread. ``perform`` is called in it with all items waiting and returns one result for each, in order; a
        result that is an exception makes the item's Deferred fail with it. When ``perform`` itself raises, all fail.
        """

    def submit(item: Any) -> Deferred[Any]:
        """Hand over an item from the reactor thread; the result is delivered in the reactor thread."""

    def submit_patiently(item: Any) -> Deferred[Any]:
        """The same for an item on which nobody waits: it may be kept back for some milliseconds, to go with others."""

    async def stop() -> None:
        """Finish what waits, then end the thread. Nothing may be submitted afterwards."""


class IJournal(Interface):
    """Where facts about messages go: the trace and the mail log."""

    def record(event: Event) -> None:
        """Store a fact soon; it is not waited for, and a fault in storing it never harms the message."""


class ISpoolWriter(Interface):
    """A message that is coming in. Either :meth:`commit` or :meth:`abort` ends it."""

    queue_id = Attribute("The id that the message will have, known from the start so that Received: can name it.")
    congested = Attribute("True while more waits to be written than should: await drained() before the next write.")
    size_octets = Attribute(
        "How many octets have been written, the prefix included: what the message takes where it lies."
    )

    def write(chunk: bytes) -> None:
        """Append octets in the stored form (:class:`hermes.core.message.Content`); the prefix first."""

    async def drained() -> None:
        """Return when writing has caught up; raise SpoolFullError when the disk is full."""

    async def content() -> Content:
        """Where the octets are that have been written so far, with ``data`` or ``path`` set, to be read before commit."""

    async def insert(offset: int, octets: bytes) -> None:
        """Put octets between those that have been written; nothing may be written afterwards. Raises SpoolFullError."""

    async def commit(
        envelope: Envelope,
        origin: Origin,
        destinations: Mapping[str, str],
        message_id: str,
        wire_octets: int,
        prefix_octets: int,
        facts: Mapping[str, str | int | float | bool | None],
    ) -> QueuedMessage:
        """
        Make message and envelope durable, with a RECEIVED event holding ``facts``; afterwards 250 may be sent.

        ``destinations`` maps each recipient's address to the router's word for it. Raises SpoolFullError when there is no room.
        """

    def abort() -> None:
        """Forget the message; harmless after commit."""


class ISpool(Interface):
    """The durable queue store. All times are seconds since the epoch."""

    def create() -> ISpoolWriter:
        """Begin a message. Octets are kept in memory while they are few and go to a file when they are many."""

    async def content(queue_id: str) -> Content:
        """Where the octets of a message are, with ``data`` or ``path`` set; raise KeyError when it is gone."""

    async def due(now: float, limit: int, busy: Collection[str], active: Collection[str]) -> list[QueuedMessage]:
        """
        Up to ``limit`` messages with recipients (only these are in them) that are QUEUED and due, longest due first;
        none for the destinations in ``busy`` and none with a queue id in ``active``. Content has neither data nor path.
        """

    async def next_due(busy: Collection[str], active: Collection[str]) -> float | None:
        """When the next recipient is due that :meth:`due` would then return; None when there is none."""

    async def settle(
        queue_id: str, settlements: Sequence[Settlement], events: Sequence[Event], reports: Sequence[NewMessage] = ()
    ) -> list[QueuedMessage]:
        """
        Record the end of an attempt in one transaction: what became of recipients, the events, and reports to be queued.

        A message without unfinished recipients is removed with its octets. Returns the queued reports.
        """

    async def replace(
        queue_id: str, replaced: Sequence[Replaced], events: Sequence[Event], messages: Sequence[NewMessage]
    ) -> list[QueuedMessage] | None:
        """
        Put other recipients in the place of some, and queue new messages, in one transaction; the first event is found by
        the new recipients' addresses. Returns the new messages.

        None, and nothing has been done, when one of those that were to be replaced is not waiting any more.
        """

    async def select(queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all, oldest first, with every unfinished recipient; no more than ``limit``, when that is given."""

    async def hold(queue_id: str, event: Event) -> bool:
        """Stop all recipients of a message; False when there is no such message."""

    async def release(queue_id: str, event: Event) -> bool:
        """Let held recipients go on, now."""

    async def retry(queue_id: str | None, event: Event, now: float) -> int:
        """
        Make waiting recipients due now (held ones stay held); the number of messages touched.

        Each of these has the event, with its own queue id.
        """

    async def remove(queue_id: str, event: Event) -> bool:
        """Take a message out of the queue without telling anybody."""

    async def choose(selection: Selection, after: str = "") -> Chosen:
        """One step through the queue: the recipients that a selection names among the next messages after ``after``."""

    async def change(order: Order, event: Event, after: str = "") -> Chosen:
        """
        Carry an order out on the next messages after ``after``, durably, and say on whom: every action but RETURN.

        Each of these messages has the event, with its own queue id and the number of recipients.
        """

    async def record(events: Sequence[Event]) -> None:
        """Store facts that stand alone."""

    async def track(query: str, limit: int) -> list[Event]:
        """The events of the messages that a queue id, an address or a Message-ID names, newest last."""

    async def flush() -> None:
        """Return when all that was handed over is durable."""


class IRelayManager(Interface):
    """Takes messages that are durable and sees to their delivery."""

    def accepted(message: QueuedMessage) -> None:
        """A message has just become durable: deliver it now if there is room, else when it is its turn."""

    def wake() -> None:
        """Something changed in the spool (a retry, a release): look again."""

    async def hold(queue_id: str) -> bool:
        """Stop a message until it is released; False when there is no such message."""

    async def release(queue_id: str) -> bool:
        """Let a held message go on, now; False when there is no such message."""

    async def retry(queue_id: str | None) -> int:
        """Make one message, or all that wait, due now; how many that were."""

    async def remove(queue_id: str) -> bool:
        """Take a message out of the queue and tell nobody; False when there is no such message."""

    async def return_now(queue_id: str) -> bool:
        """Give a message up and report to its sender; False when there is no such message."""

    async def carry_out(order: Order) -> Done:
        """Do what an administrator wants with the messages that a selection names."""


class IRouter(Interface):
    """Says by which way mail for an address goes."""

    async def route(address: str, sender: str = "", account: str = "") -> str:
        """
        The destination as ``agent:next-hop``: ``local:ACCOUNT``, ``smarthost:NAME``, ``direct:DOMAIN``, ``backup:DOMAIN``,
        ``none:REASON``; ``expand:ADDRESS`` for what stands for others, and is replaced by them before it is delivered.

        ``sender`` is the reverse-path and ``account`` who sent it, or empty: smart hosts may be chosen by them.
        """


class IDeliveryAgent(Interface):
    """Delivers to one kind of destination."""

    async def deliver(next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]) -> list[Outcome]:
        """
        Try to deliver to these recipients, all of one destination; one outcome for each, in their order.

        ``message.content`` has data or path set. A message of many recipients may come in several calls.
        """


class IContentReader(Interface):
    """Reads a message's octets without stopping the reactor."""

    def chunks(content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The stored octets from ``offset`` on, in pieces of at most 64 KiB; whoever stops early calls ``aclose``."""


class ISigner(Interface):
    """Signs messages that leave (DKIM)."""

    async def sign(
        message: QueuedMessage, chunks: Callable[[], AsyncGenerator[bytes, None]], author: str = ""
    ) -> Signature | None:
        """
        The header fields to put in front of a message; None when it gets none.

        ``chunks`` begins to read the octets as they will be sent, in their stored form, without the prefix. Where a way puts
        another author into From, ``author`` is that address. A signature is made once for each of these.
        """

    async def keep(message: QueuedMessage, author: str = "") -> None:
        """The message has to wait: keep its signature with it. What goes wrong is logged, and does no harm."""


class ISignatures(Interface):
    """Where signatures are kept with the messages that wait."""

    async def keep_signature(queue_id: str, variant: str, signature: Signature) -> None:
        """Keep it for as long as there is the message."""

    async def signature(queue_id: str, variant: str) -> Signature | None:
        """What was kept."""


class IPolicyStore(Interface):
    """Where the MTA-STS policies of other domains outlive the process (values of :class:`hermes.services.mta_sts.Kept`)."""

    async def policy(domain: str) -> Any:
        """What is kept of a domain, in force or not; None when there is nothing."""

    async def keep(kept: Any) -> None:
        """Keep a policy, durably."""


class IFetcher(Interface):
    """Asks web servers, over TLS and with bounds for time and size."""

    async def fetch(url: str, headers: Mapping[str, str], body: bytes | None = None) -> Fetched:
        """
        Ask: with POST when there is a body, else with GET.

        Any status is an answer. Raises UnavailableError when none comes, TooBusyError when too many questions wait already.
        """


class IDirectory(Interface):
    """Who is who. What it cannot tell now, because a directory service does not answer, raises UnavailableError."""

    async def resolve(address: str) -> Resolution:
        """Say what an address is: a mailbox here, somebody else's, unknown, or one that stands for others (IExpander)."""

    async def account(name: str) -> Account | None:
        """The account of that login name, in any case; None when there is none."""

    async def verify(name: str, password: str) -> Account | None:
        """
        The account when the password is right and it is not disabled, else None; the answer takes as long for names that
        do not exist. Raises TooBusyError when too many wait already (answer 454, RFC 4954 6).
        """


class IPasswordChange(Interface):
    """How people change their own passwords."""

    async def change(account: Account, old: str, new: str) -> str:
        """
        Set a new password for somebody who has proved the old one; empty when that was done, else why not, for that person.

        Raises TooBusyError when too many wait already.
        """


class IExpander(Interface):
    """Follows aliases, groups and forwards."""

    async def expand(address: str) -> Expansion:
        """Where an address leads, to all its ends; one that stands for itself has itself at its end."""


class IScramKeys(Interface):
    """Where the keys are that SCRAM proves passwords with."""

    async def scram_keys(name: str) -> tuple[ScramKeys, str]:
        """
        The keys for that login name, or address, and the name of the account.

        For a name without keys, with or without an account, and for one that may not log in: keys that nothing proves, always
        with the same salt, and an empty name.
        """


class IProvedAccount(ICredentials):
    """
    Credentials of somebody who has proved to know an account's password, to a session that has checked the proof.

    A portal lets them in by the name alone. They are made of a :class:`hermes.protocols.sasl.Proof` that matches, by the code
    that gave the keys for it, and of nothing that comes over a wire: no protocol can read one.
    """

    account = Attribute("The name of the account.")


class IBearerToken(ICredentials):
    """
    An OAuth access token that a client has shown (RFC 6750, RFC 7628), for whoever can tell whether it is good.

    A checker answers with the account's name, and fails with UnauthorizedLogin (:class:`TokenDeniedError` can say more) for a
    token that is not good, or that is somebody else's than ``name`` says, and with UnavailableError when it cannot tell now.
    """

    token = Attribute("The token, text of the characters of RFC 6750 2.1; a secret.")
    name = Attribute(
        "Who the client says it is: an account's name or address; empty when the token alone is to say it."
    )
    host = Attribute("The host that the client thinks it has connected to; empty when it does not say.")
    port = Attribute("The port, likewise; 0 when it does not say.")
    service = Attribute("The service that it wants: ``smtp`` or ``pop3``.")


class TokenDeniedError(UnauthorizedLogin):
    """A token is not good: ``status`` is the error for the client (RFC 6750 3.1), the text is for the trace."""

    def __init__(self, reason: str, status: str = "invalid_token") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class UnavailableError(Exception):
    """Who would have to be asked cannot be asked now: answer "try again later"; the text says for the trace why."""


class TooBusyError(Exception):
    """More wait than the server wants to keep waiting: answer "try again later"."""


class MailboxInUseError(Exception):
    """Another session holds the mailbox: the realm raises it at login (POP3 answers ``[IN-USE]``, RFC 2449 8.1.1)."""


class IMailboxes(Interface):
    """The mailboxes of all accounts."""

    async def over_quota(account: Account, octets: int) -> Verdict:
        """Say whether a message of that size still fits: PASS (no limit), FITS, or 452 (full) or 552 (could never fit)."""

    async def owners() -> list[str]:
        """The names of the accounts whose mailboxes have been made, in order; there may be no such account any more."""

    def mailbox(account: Account) -> IStreamingMailbox:
        """The account's mailbox, not yet open, which is ``twisted.mail.pop3.IMailbox`` as well."""


class IStreamingMailbox(Interface):
    """
    What Hermes's own mailboxes offer beyond ``twisted.mail.pop3.IMailbox``, so that 100,000 messages open at once.

    Message numbers count from 0. Sizes are in octets as on the wire, with CRLF line ends.
    """

    account = Attribute("The name of the account whose mailbox it is; empty where that is not known.")
    reading = Attribute("How it is read: a :class:`hermes.core.reading_profile.ReadingProfile` without open questions.")

    async def open() -> bool:
        """Lock the mailbox for this session and read the list of messages; False when another session holds it."""

    def count() -> int:
        """How many messages there are, deleted ones included."""

    def size(number: int) -> int:
        """The size of a message; 0 when it is marked deleted."""

    def total() -> tuple[int, int]:
        """The number of messages not marked deleted, and the sum of their sizes."""

    def uid(number: int) -> str:
        """The unique id: 1 to 70 characters from 0x21 to 0x7E, the same for the life of the message (RFC 1939 7)."""

    def queue_id(number: int) -> str:
        """The id under which the message came through the queue; empty when that is not known."""

    def is_seen(number: int) -> bool:
        """True when the message has been read, as far as that is known."""

    def arrived(number: int) -> float | None:
        """When the message came, in seconds since the epoch; None when that is not known."""

    def is_deleted(number: int) -> bool:
        """True when the message is marked deleted."""

    def delete(number: int) -> None:
        """Mark a message deleted."""

    def undelete_all() -> None:
        """Take all marks back."""

    async def content(number: int) -> Content:
        """Where the octets of the message are; FileNotFoundError when another program has taken it away."""

    def mark_retrieved(number: int) -> None:
        """Remember that the message was fetched: it is marked seen when the session ends."""

    async def update() -> list[int]:
        """Do the deletions (RFC 1939 6); the numbers of messages that could not be deleted."""

    async def close() -> None:
        """Release the lock. Marks that :meth:`update` has not carried out are forgotten."""


class IGate(Interface):
    """Counts who is connected, and says when it is too much. Addresses are text, as :func:`hermes.net.peer.peer_of` gives."""

    def admit(peer: str) -> Verdict:
        """Judge a new connection and count it when it is accepted (then :meth:`left` must follow)."""

    def left(peer: str) -> None:
        """A connection that was admitted is gone."""

    def expect() -> Verdict:
        """
        Count a connection of a front end while its client is not known (then :meth:`expected` must follow), or refuse it when
        there are too many connections altogether.
        """

    def expected() -> None:
        """The client of such a connection is known now, and is judged like any other; or the connection is gone."""

    def login_failed(peer: str, name: str = "") -> float:
        """Remember a wrong password for that name, as it was typed; how many seconds its answer shall wait at least."""

    def login_succeeded(peer: str, *names: str) -> None:
        """Remember who has logged in from where: the name as it was typed, and the account's own."""

    def login_verdict(peer: str, name: str = "") -> Verdict:
        """Say whether this peer may try a password for that name now."""

    def offended(peer: str, cause: str, reason: str) -> None:
        """A peer has gone too far: ``cause`` is one of those of ``[offenders] report``, ``reason`` for people."""


class IOffenders(Interface):
    """The list of offenders: addresses and networks that may not connect for a while, at any server."""

    def report(peer: str, rule: str, reason: str, seconds: float | None = None) -> bool:
        """
        List a peer (IPv6: its /64) for so long, None being the time that is configured; False when it is exempt.

        ``rule`` names what decided, ``reason`` says why in plain words, for the administrator. Nothing is waited for.
        """

    def offended(peer: str, cause: str, reason: str) -> bool:
        """Report a peer if ``[offenders] report`` has that cause; True when it is listed now."""

    def entry(peer: str) -> Offender | None:
        """The entry that a peer is in; None when it is in none. It takes microseconds."""

    def refusal(peer: str) -> Verdict | None:
        """What a peer is told when it connects and is blocked; None when it may come in."""

    def exempt(peer: str) -> bool:
        """True for a peer that no rule lists: this machine, and those whom the administrator trusts or has named."""


class IOffenderStore(Interface):
    """Where the list of offenders outlives the process; several processes may share one."""

    def put(one: Offender) -> Deferred[None]:
        """Keep an entry, in place of what there is of that network."""

    def remove(network: Network) -> Deferred[None]:
        """Forget an entry."""

    async def changed() -> list[Offender] | None:
        """All entries, if another process has changed some since they were read; else None."""

    async def read() -> list[Offender]:
        """All entries."""


class IAccess(Interface):
    """Connection control: what the administrator has said about addresses."""

    def entry(peer: str, server: str) -> AccessEntry | None:
        """
        The entry that decides about a peer at a server (``smtp``, ``pop3``); None when nothing was said about it.

        It is asked for every connection, and takes microseconds.
        """


class IResolver(Interface):
    """
    What DNS says. There is one for the whole server, and one cache.

    Names may be in any case and any script; one that cannot be a name does not exist. With a ``budget`` a question that the
    cache cannot answer is spent from it, and waited for no longer than it says: what is exhausted or late is UNAVAILABLE.
    """

    async def mail_exchangers(domain: str, budget: Budget | None = None) -> Answer[MailExchanger]:
        """The MX records of a domain, in no order."""

    async def addresses(host: str, budget: Budget | None = None) -> Answer[str]:
        """The addresses of a host, those of IPv4 and IPv6 in turn; two questions."""

    async def ipv4_addresses(host: str, budget: Budget | None = None) -> Answer[str]:
        """The A records of a host, as ``192.0.2.1``."""

    async def ipv6_addresses(host: str, budget: Budget | None = None) -> Answer[str]:
        """The AAAA records of a host, as ``2001:db8::1``."""

    async def names(address: str, budget: Budget | None = None) -> Answer[str]:
        """The names that reverse DNS has for an IP address, in lower case without the last dot."""

    async def texts(name: str, budget: Budget | None = None) -> Answer[bytes]:
        """The TXT records of a name, the strings of each joined (RFC 7208 3.3)."""


class IServerTLS(Interface):
    """Where servers get TLS from; certificates may be replaced while the server runs."""

    def context_factory() -> IOpenSSLServerConnectionCreator:
        """What ``transport.startTLS`` and ``TLSMemoryBIOFactory`` take."""


class ICheck(Interface):
    """
    One rule about what clients do at the SMTP server; each is a small module of its own, and they are asked in order.

    It decides by a refusal, notes what it found (:class:`hermes.core.findings.Findings`), or asks for measures
    (:class:`hermes.core.visit.Measures`). It spares whom it should spare by itself: ``case.visit.trusted``, or an entry of
    connection control.
    """

    name = Attribute("What it is called; the rules in its verdicts begin with it: ``dnsbl``, ``filter``.")
    stages = Attribute("The stages at which it wants to judge: a collection of :class:`hermes.core.policy.Stage`.")
    momentary = Attribute(
        "True when its answer depends on the moment: on the network, on counters. ``hermes explain`` then does not ask it."
    )

    def judge(case: Case) -> Verdict | Awaitable[Verdict]:
        """
        Judge a case: PASS, or a refusal. Only a check that has to wait returns an awaitable, and never at CONNECT and REFUSED.

        What it raises is a fault of ours: the client is told to try again later.
        """


class IPolicy(Interface):
    """The checks in their order, as one."""

    def wanted(stage: Stage) -> bool:
        """True when there are checks at that stage: without them no case need be made."""

    def judge(case: Case) -> Verdict | Awaitable[Verdict]:
        """Ask one check after the other until one refuses; at REFUSED all, each about what the one before has said."""


class ICallAhead(Interface):
    """Asks other servers about their recipients."""

    async def ask(address: str) -> Outcome:
        """
        Say whether the server of the address's domain would accept it.

        RELAYED: it would; FAILED: it would not; DEFERRED: nobody could say. It takes some twenty seconds at most.
        """


class IRelayPolicy(Interface):
    """Who may send where."""

    async def recipient(
        address: str,
        *,
        peer: str,
        account: Account | None,
        authentication_required: bool,
        octets: int,
        sender: str = "",
    ) -> tuple[Verdict, str]:
        """
        Judge a recipient: the verdict, and the destination when it is accepted; ``sender`` is the reverse-path.

        Local recipients must exist and have room for ``octets`` (0: not known); others need an authenticated account or a
        peer that :meth:`relay_right` knows. The verdict is FITS where :meth:`room` may have to be asked when the size is known.
        """

    async def right(peer: str, account: Account | None, sender: str) -> str:
        """What lets this client send to other domains: ``login``, what :meth:`relay_right` says, ``smtp.relay``, or empty."""

    def backup_of(domain: str) -> str:
        """The name of the section that makes this server a backup for a domain, or empty."""

    def relay_right(peer: str) -> str:
        """What lets this peer send to other domains without a login: ``smtp.relay_networks``, ``access.NAME``, or empty."""

    async def room(address: str, octets: int) -> Verdict:
        """Judge again whether an accepted local recipient has room for ``octets``: PASS, FITS, or 452 or 552."""


class IIncomingMessage(Interface):
    """A message that a session is receiving. Either :meth:`finish` or :meth:`abort` ends it."""

    queue_id = Attribute("The id under which the message can be looked up; empty where there is none.")
    congested = Attribute("True while more waits than should: await drained() before the next write.")

    def write(chunk: bytes) -> None:
        """Append octets of the message as the client sent it, in the stored form (:class:`hermes.core.message.Content`)."""

    async def drained() -> None:
        """Return when writing has caught up; raise SpoolFullError when the disk is full."""

    async def finish(wire_octets: int) -> list[Verdict]:
        """
        The message is whole: keep it, and say for each of the transaction's recipients, in order, what came of it.

        Where a verdict is accepted, responsibility has been taken (RFC 5321 4.2.5).
        """

    def abort() -> None:
        """Forget the message; harmless after the end."""


class IReception(Interface):
    """
    What a client of the SMTP server may do: the avatar of a session.

    It is the short way round ``twisted.mail.smtp.IMessageDelivery``: verdicts instead of exceptions, and octets
    written once for all recipients.
    """

    account = Attribute("The account that authenticated, or None.")

    async def sender(transaction: Transaction, command: str = "") -> Verdict:
        """Judge the reverse-path; ``command`` is the command line, for the checks."""

    async def recipient(transaction: Transaction, recipient: Recipient, command: str = "") -> tuple[Verdict, str]:
        """Judge a recipient, and say to which destination its mail goes when it is accepted."""

    async def begin(transaction: Transaction) -> IIncomingMessage | Verdict:
        """Begin to receive the message, or refuse it."""


class IControl(Interface):
    """What the control socket and the manhole can ask of a running server; all values are ready for JSON."""

    async def call(command: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out a command; raise ``LookupError`` or ``ValueError`` with a text for the administrator."""

"""
Signing what leaves: who may have a signature of ours, and the one pass over the message that makes it (RFC 6376 5, RFC 8463).

A message is signed as it goes out, after everything that changes it, and once: its signature is remembered, and kept with the
message when it has to wait. The octets are hashed piece by piece in a thread, so that a large message costs no memory and holds
nobody up; see ``docs/decisions.md`` for the measurement.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hermes.core.address import domain_key, domain_of
from hermes.core.envelope import Origin
from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.mailbox_list import addresses
from hermes.core.message import QueuedMessage, Signature
from hermes.interfaces import IGroupWorker, ISignatures, ISigner
from hermes.policy.dkim_keys import LOOK_SECONDS, Keyring
from hermes.protocols.dkim_canonical import BodyDigest, Field, fields_of
from hermes.protocols.dkim_signature import Coverage, draft

#: Signatures in memory, each some 1.5 KiB: those of messages that go to many places, or are tried again soon.
MAX_REMEMBERED = 1000


@attrs.frozen
class Profile:
    """How mail of a domain is signed: by the keys of ``domain``, those of ``selectors`` if there are any."""

    domain: str
    coverage: Coverage
    selectors: Sequence[str] = ()


#: Fields of a header that is signed; honest ones have a hundred at most. Each that is signed is named in the signature, once for
#: each key, and that is remembered.
MAX_FIELDS = 1000

#: Finds the profile for a domain (in lower case, A-labels); None when it is not signed.
Profiles = Callable[[str], Profile | None]


class _Pass:
    """One pass over a message; its methods are called in the thread, one after the other."""

    def __init__(self, profiles: Profiles, keyring: Keyring, domains: frozenset[str] | None, binary: bool) -> None:
        self._profiles = profiles
        self._keyring = keyring
        self._domains = domains
        self._binary = binary
        self._body = BodyDigest(binary=binary)
        self._held = bytearray()
        self._fields: list[Field] = []
        self._profile: Profile | None = None
        self._in_body = False
        self.remark = ""
        #: There is no key of any domain.
        self.keyless = False

    def take(self, chunk: bytes) -> bool:
        """The next piece; False when nothing will be signed, and the rest need not be read."""
        if self._in_body:
            self._body.update(chunk)
            return True
        searched = len(self._held)
        self._held += chunk
        end = header_end(self._held, searched)
        if (len(self._held) if end < 0 else end) > MAX_HEADER_OCTETS:
            self.remark = "the header is too large"
        if end < 0 or self.remark:
            return not self.remark
        self._in_body = True
        if self._header(bytes(self._held[:end])):
            rest = self._held[end:]
            self._body.update(bytes(rest[2 if rest.startswith(b"\r") else 1 :]))
        self._held.clear()
        return not self.remark

    def finish(self, chunk: bytes, signed_at: int) -> Signature | None:
        """Take the last piece and sign."""
        if not self.take(chunk):
            return None
        if not self._in_body and not self._header(bytes(self._held)):
            return None
        body_hash = self._body.finish()
        profile = self._profile
        assert profile is not None  # the header was good
        lines, names = [], []
        for key in self._keyring.keys(profile.domain, profile.selectors):
            one = draft(
                self._fields,
                body_hash,
                domain=key.domain,
                selector=key.selector,
                algorithm=key.algorithm,
                signed_at=signed_at,
                coverage=profile.coverage,
            )
            lines.append(one.signed(key.sign(one.to_sign)))
            names.append(f"{key.domain}/{key.selector}")
        return Signature("".join(lines).encode("ascii"), " ".join(names)) if lines else None

    def _header(self, octets: bytes) -> bool:
        """Read the header; False, with a remark, when the message is not signed."""
        if not self._binary:
            # As it goes over the wire, see WireEncoder.
            octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        fields = fields_of(octets) if octets else None
        authors = Header(octets).all("From")
        domains = {domain_key(domain_of(address)) for field in authors for address in addresses(field)}
        if fields is None or len(authors) != 1 or len(domains) != 1:
            # RFC 6376 5.4: From: must be signed; whom shall it be signed for?
            self.remark = "it has not exactly one From: with one domain"
            return False
        if len(fields) > MAX_FIELDS:
            self.remark = "the header has too many fields"
            return False
        (domain,) = domains
        if self._domains is not None and domain not in self._domains:
            self.remark = f"the account has no address at {domain}"
            return False
        profile = self._profiles(domain)
        if profile is None or not self._keyring.keys(profile.domain, profile.selectors):
            self.remark = f"there is no key for {domain}"
            self.keyless = self._keyring.is_empty()
            return False
        self._fields, self._profile = fields, profile
        return True


@implementer(ISigner)
class DKIMSigner:
    """
    Signs with the keys of ``keyring``, which belongs to the thread of ``worker`` (its ``perform`` calls each item).

    ``may_relay`` says of an address whether it may send through us; ``addresses_of`` gives the addresses of an account; ``store``
    keeps signatures with their messages; ``now`` gives seconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        profiles: Profiles,
        keyring: Keyring,
        worker: IGroupWorker,
        store: ISignatures,
        *,
        may_relay: Callable[[str], bool],
        addresses_of: Callable[[str], Awaitable[Collection[str]]],
        now: Callable[[], float],
        memory: SignatureMemory,
    ) -> None:
        self._profiles = profiles
        self._keyring = keyring
        self._worker = worker
        self._store = store
        self._may_relay = may_relay
        self._addresses_of = addresses_of
        self._now = now
        self._memory = memory
        #: When there were no keys at all.
        self._keyless_at = -LOOK_SECONDS

    async def sign(
        self, message: QueuedMessage, chunks: Callable[[], AsyncGenerator[bytes, None]], author: str = ""
    ) -> Signature | None:
        """The signatures of a message; see :class:`hermes.interfaces.ISigner`."""
        key = message.queue_id, author
        known = self._memory.get(key)
        if known is None and self._is_keyless(message):
            return None
        if not self._may_be_signed(message.origin):
            return None
        if known is not None:
            return known.signature
        waiting = self._memory.running.get(key)
        if waiting is None:
            mine: Deferred[Signature | None] = Deferred()
            self._memory.running[key] = [mine]
            # By itself, so that a delivery that is called off does not take it away from the others.
            _ = Deferred.fromCoroutine(self._signed(message, chunks, author)).addBoth(self._tell, key)
        else:
            mine = Deferred()
            waiting.append(mine)
        return await mine

    async def keep(self, message: QueuedMessage, author: str = "") -> None:
        """The message has to wait: keep its signature with it."""
        known = self._memory.get((message.queue_id, author))
        if known is not None and known.signature is not None and not known.kept:
            known.kept = True
            try:
                await self._store.keep_signature(message.queue_id, author, known.signature)
            except Exception:
                # It can be made again.
                known.kept = False
                self._log.failure("The signature of {queue_id} could not be kept", queue_id=message.queue_id)

    def _tell(self, result: Signature | None, key: tuple[str, str]) -> None:
        for waiting in self._memory.running.pop(key):
            if not waiting.called:
                waiting.callback(result)

    def _may_be_signed(self, origin: Origin) -> bool:
        """Strangers get no signature of ours, also when their mail is sent on."""
        return (
            origin.account is not None
            or origin.protocol == "local"
            or bool(origin.peer and self._may_relay(origin.peer))
        )

    def _is_keyless(self, message: QueuedMessage) -> bool:
        """Whether there is nothing to sign with, and no signature from an earlier attempt: then the thread is not troubled."""
        # The clock may have been set back.
        seconds = self._now() - self._keyless_at
        return 0 <= seconds < LOOK_SECONDS and not any(recipient.attempts for recipient in message.recipients)

    async def _signed(
        self, message: QueuedMessage, chunks: Callable[[], AsyncGenerator[bytes, None]], author: str
    ) -> Signature | None:
        key = message.queue_id, author
        if any(recipient.attempts for recipient in message.recipients):
            kept: Signature | None = await self._store.signature(message.queue_id, author)
            if kept is not None:
                self._memory.put(key, Remembered(kept, kept=True))
                return kept
        domains = await self._domains_of(message, author)
        work = _Pass(self._profiles, self._keyring, domains, message.content.binary)
        signature: Signature | None = None
        # The last piece goes with the signing: a small message is one turn of the thread.
        last = b""
        wanted = True
        async with aclosing(chunks()) as pieces:
            async for piece in pieces:
                if last:
                    wanted = await self._worker.submit(partial(work.take, last))
                    if not wanted:
                        break
                last = piece
        if wanted:
            signature = await self._worker.submit(partial(work.finish, last, int(self._now())))
        if signature is None:
            if work.keyless:
                self._keyless_at = self._now()
            self._log.debug("{queue_id} is not signed: {why}", queue_id=message.queue_id, why=work.remark)
        self._memory.put(key, Remembered(signature))
        return signature

    async def _domains_of(self, message: QueuedMessage, author: str) -> frozenset[str] | None:
        """The domains that the sender may have a signature for; None for all."""
        account = message.origin.account
        if account is None:
            return None
        own = [*await self._addresses_of(account), message.envelope.reverse_path, author]
        return frozenset(domain_key(domain_of(address)) for address in own if address)


@attrs.define
class Remembered:
    """A signature, or that there is none; ``kept`` when it is on disk too."""

    signature: Signature | None
    kept: bool = False


class SignatureMemory:
    """The signatures that were made last; it outlives a reload."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._signatures: OrderedDict[tuple[str, str], Remembered] = OrderedDict()
        self.running: dict[tuple[str, str], list[Deferred[Signature | None]]] = {}

    def get(self, key: tuple[str, str]) -> Remembered | None:
        """What is known of a message."""
        return self._signatures.get(key)

    def put(self, key: tuple[str, str], remembered: Remembered) -> None:
        """Remember; the oldest is forgotten."""
        self._signatures[key] = remembered
        if len(self._signatures) > self._most:
            self._signatures.popitem(last=False)

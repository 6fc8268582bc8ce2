"""
Asking a web service something, by HTTPS alone: one form goes there, one short answer comes back, or words why not.

A connection is for one question (RFC 9112 9.6: ``Connection: close``). The certificate is verified by name; nothing is followed
elsewhere; neither time nor octets are without bound.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

import attrs
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from typing_extensions import override

from hermes import __version__
from hermes.net.system_words import system_words

#: From the first packet to the last octet of the answer.
SECONDS = 30.0

#: Answers of authorization servers have some kilobytes, of which a token may be 8; the head is some kilobytes more. A server that
#: sends more is cut off, whatever it is that it sends.
MAX_OCTETS = 128 * 1024

#: Of these, what stands in front of the answer. Servers of strangers are asked, too, and would send fields without end.
MAX_HEAD_OCTETS = 32 * 1024

_PORT = 443

# Content-Length = 1*DIGIT   (RFC 9110 8.6)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9}) *\r\n", re.IGNORECASE)

# status-line = HTTP-version SP status-code SP [ reason-phrase ]   (RFC 9112 4)
_EMPTY = re.compile(rb"HTTP/1\.[01] (?:204|304)[ \r]")

# last-chunk = 1*("0") CRLF, with an empty trailer section   (RFC 9112 7.1)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    body: bytes = attrs.field(repr=False)


class Asking(Protocol):
    """Sends the question and collects what comes, until the answer is whole, too long, or over."""

    def __init__(self, question: bytes, most_octets: int = MAX_OCTETS, *, strict: bool = False) -> None:
        """With ``strict`` an answer that ends with the connection is none unless that was closed in order."""
        self._question = question
        self._strict = strict
        self._most_octets = most_octets
        self._octets = bytearray()
        self._searched = 0
        #: How long the head is, once it is whole, and what it says about the rest.
        self._head_octets = 0
        self._length: int | None = None
        self._chunked = False
        #: Fires with all octets, or fails with why the connection was lost.
        self.done: Deferred[bytes] = Deferred()
        self._wire: Any = None

    @override
    def connectionMade(self) -> None:
        self._wire = self.transport
        self._wire.write(self._question)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > self._most_octets:
            self._end(Failure(ValueError(f"the answer has more than {self._most_octets} octets")))
        elif self._is_whole():
            self._end(bytes(self._octets))
        elif not self._head_octets and len(self._octets) > MAX_HEAD_OCTETS:
            self._end(Failure(ValueError(f"the head of the answer has more than {MAX_HEAD_OCTETS} octets")))

    def _is_whole(self) -> bool:
        """Whether an answer that says where it ends has come to its end; each octet is looked at once, however they drip."""
        if not self._head_octets:
            end = self._octets.find(b"\r\n\r\n", max(0, self._searched - 3))
            self._searched = len(self._octets)
            if end < 0:
                return False
            self._head_octets = end + 4
            head = bytes(self._octets[: self._head_octets])
            length = _LENGTH.search(head)
            # RFC 9110 15.3.5, 15.4.5: these have no content.
            self._length = 0 if _EMPTY.match(head) else int(length[1]) if length is not None else None
            self._chunked = b"chunked" in head.lower()
        if self._length is not None:
            return len(self._octets) >= self._head_octets + self._length
        return self._chunked and self._octets.endswith(_LAST_CHUNK)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Without a length the end of the connection is the end of the answer (RFC 9112 6.3).
        ends = (ConnectionDone,) if self._strict else (ConnectionDone, ConnectionLost)
        self._end(bytes(self._octets) if self._octets and reason.check(*ends) else reason)

    def cut(self) -> None:
        """Do not wait for anything more."""
        if self._wire is not None:
            self._wire.abortConnection()

    def _end(self, result: bytes | Failure) -> None:
        if not self.done.called:
            self.done.callback(result)
        self.cut()


class _Factory(Factory):
    noisy = False

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def buildProtocol(self, addr: Any) -> Asking:
        return self._asking


async def post_form(reactor: Any, address: str, form: Mapping[str, str], *, authority: str = "") -> Answer | str:
    """
    Send a form to an ``https:`` address; words for people when that does not work.

    ``authority`` is a PEM file with the authority to trust instead of the system's.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme != "https" or not host:
        return f"{address} is no https: address"
    try:
        trust = _trust(authority)
    except (OSError, crypto.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "there is no certificate in PEM form in it"
        return f"the authority {authority} cannot be used: {why}"
    asking = Asking(_question(parts, urlencode(form).encode("ascii")))
    asked: Deferred[Answer] = Deferred.fromCoroutine(ask(reactor, parts, trust, asking))
    try:
        return await asked.addTimeout(SECONDS, reactor)
    except (DeferredTimeoutError, ConnectTimeoutError):
        return f"{host} did not answer within {SECONDS:g} seconds"
    except DNSLookupError:
        return f"{host} cannot be found"
    except (ConnectError, OSError) as error:
        return f"cannot connect to {host}: {system_words(error)}"
    except (SSL.Error, VerificationError, ValueError, ConnectionDone, ConnectionLost) as error:
        return f"{host} cannot be asked: {_cause(error)}"
    finally:
        asking.cut()


async def ask(reactor: Any, parts: SplitResult, trust: Any, asking: Asking, seconds: float = SECONDS) -> Answer:
    """Connect, ask, and read the answer; raises what endpoints raise, what ended the connection, and ValueError."""
    host = parts.hostname or ""
    options = optionsForClientTLS(host, trustRoot=trust)
    endpoint = HostnameEndpoint(reactor, host, parts.port or _PORT, timeout=seconds)
    await wrapClientTLS(options, endpoint).connect(_Factory(asking))
    return _parsed(await asking.done)


def _trust(authority: str) -> Any:
    if not authority:
        return platformTrust()
    with open(authority, "rb") as file:
        return trustRootFromCertificates([Certificate.loadPEM(file.read())])


def _question(parts: SplitResult, body: bytes) -> bytes:
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: Hermes/{__version__}\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii", "replace") + body


class _Wire:
    """What the parser of the standard library takes for a socket."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._octets)


def _parsed(octets: bytes) -> Answer:
    """Raises ValueError when it is no answer, or not all of it."""
    wire: Any = _Wire(octets)
    response = http.client.HTTPResponse(wire, method="POST")
    try:
        response.begin()
        return Answer(response.status, response.read())
    except http.client.IncompleteRead:
        raise ValueError("the answer broke off") from None
    except (http.client.HTTPException, ValueError):
        raise ValueError("what it says is not HTTP") from None


def _cause(error: BaseException) -> str:
    if isinstance(error, VerificationError):
        return "its certificate is for another name"
    if isinstance(error, SSL.Error):
        details = error.args[0] if error.args and isinstance(error.args[0], list) else []
        return "TLS: " + ("; ".join(str(part[-1]) for part in details if part) or "the connection was closed")
    return str(error).strip().rstrip(".") or type(error).__name__

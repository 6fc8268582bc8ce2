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

_PORT = 443

# Content-Length = 1*DIGIT   (RFC 9110 8.6)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9}) *\r\n", re.IGNORECASE)

# last-chunk = 1*("0") CRLF, with an empty trailer section   (RFC 9112 7.1)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    body: bytes = attrs.field(repr=False)


class _Asking(Protocol):
    """Sends the question and collects what comes, until the answer is whole, too long, or over."""

    def __init__(self, question: bytes) -> None:
        self._question = question
        self._octets = bytearray()
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
        if len(self._octets) > MAX_OCTETS:
            self._end(Failure(ValueError(f"the answer has more than {MAX_OCTETS} octets")))
        elif _is_whole(self._octets):
            self._end(bytes(self._octets))

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Without a length the end of the connection is the end of the answer (RFC 9112 6.3).
        lost = reason.check(ConnectionDone, ConnectionLost) and self._octets
        self._end(bytes(self._octets) if lost else reason)

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

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def buildProtocol(self, addr: Any) -> _Asking:
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
    asking = _Asking(_question(parts, urlencode(form).encode("ascii")))
    asked: Deferred[Answer] = Deferred.fromCoroutine(_ask(reactor, parts, trust, asking))
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


async def _ask(reactor: Any, parts: SplitResult, trust: Any, asking: _Asking) -> Answer:
    host = parts.hostname or ""
    options = optionsForClientTLS(host, trustRoot=trust)
    endpoint = HostnameEndpoint(reactor, host, parts.port or _PORT, timeout=SECONDS)
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


def _is_whole(octets: bytearray) -> bool:
    """Whether an answer that says where it ends has come to its end."""
    end = octets.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(octets, 0, end + 4)
    if length is not None:
        return len(octets) >= end + 4 + int(length[1])
    return octets.endswith(_LAST_CHUNK) and b"chunked" in octets[:end].lower()


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

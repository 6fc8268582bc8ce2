"""An authorization server for tests: its keys and tokens, its answers in memory, and all of it behind HTTPS on loopback."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import attrs
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from twisted.internet.defer import Deferred, fail, succeed

from hermes.core.fetched import Fetched
from hermes.interfaces import IBearerToken, TokenDeniedError
from tests.support.certificates import make_certificate

ISSUER = "https://login.example.org"
AUDIENCE = "hermes"

#: One of a kind, made once: an RSA key takes its time.
RSA = rsa.generate_private_key(65537, 2048)
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, algorithm: str, **more: object) -> dict[str, Any]:
    """The public half of a key as a JWK."""
    made: Any = get_default_algorithms()[algorithm]
    return {**made.to_jwk(key.public_key(), as_dict=True), **more, "key_ops": ["verify"]}


def jwks(*keys: Mapping[str, Any]) -> bytes:
    """A set of keys."""
    return json.dumps({"keys": keys}).encode()


def signed(key: Any, algorithm: str, header: Mapping[str, Any] | None = None, /, **claims: object) -> str:
    """A token with these claims; None takes one of the usual ones away."""
    usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000, "email": "alice@example.org"}
    said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(said, key, algorithm, dict(header or {}))


class MemoryFetcher:
    """Gives the answers that the test has put into ``answers``: octets with a status, or an exception to be raised."""

    def __init__(self, *answers: Fetched | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, str], bytes | None]] = []
        self.waits_for: Deferred[None] | None = None

    async def fetch(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Fetched:
        """The next answer."""
        self.asked.append((url, headers, body))
        if self.waits_for is not None:
            await self.waits_for
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int = 200, **claims: object) -> Fetched:
    """An answer in JSON."""
    return Fetched(status, json.dumps(claims).encode())


class AuthorizationServer:
    """
    A web server with a certificate for localhost.

    ``pages`` has what is answered by path: a status and octets; ``/introspect`` answers from ``tokens``. ``seen`` has method,
    path, headers and body of each request. A path in ``holds`` is not answered before ``close``.
    """

    def __init__(self, directory: Path) -> None:
        self.certificate, key = make_certificate(directory, "localhost")
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.seen: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.holds: set[str] = set()
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            do_POST = do_GET  # noqa: N815 - as the class calls it

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is no fault
        self.url = f"https://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.seen.append((request.command, request.path, dict(request.headers), body))
        if request.path in self.holds:
            self._closing.wait()
        if request.path == "/introspect":
            (token,) = parse_qs(body.decode())["token"]
            status, octets = 200, json.dumps(self.tokens.get(token, {"active": False})).encode()
        else:
            status, octets = self.pages.get(request.path, (404, b"nothing"))
        request.send_response(status)
        if status == 302:
            request.send_header("Location", f"{self.url}/elsewhere")
        request.send_header("Content-Length", str(len(octets)))
        request.end_headers()
        request.wfile.write(octets)

    def close(self) -> None:
        """Stop it."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@attrs.define
class TokenList:
    """A checker for which ``good`` is the only token, alice's; ``answer`` is failed with or waited for instead."""

    credentialInterfaces = (IBearerToken,)

    answer: Exception | Deferred[bytes] | None = None
    asked: list[IBearerToken] = attrs.field(factory=list)

    def requestAvatarId(self, credentials: IBearerToken) -> Deferred[Any]:
        """Judge a token."""
        self.asked.append(credentials)
        if isinstance(self.answer, Deferred):
            return self.answer
        if self.answer is not None:
            return fail(self.answer)
        if credentials.token != "good":
            return fail(TokenDeniedError("no such token", "invalid_token"))
        # The realms of these tests take names as text, or as octets.
        return succeed("alice" if credentials.service == "smtp" else b"alice")


def bearer(token: str = "good", name: str = "") -> str:
    """A message of OAUTHBEARER in base64."""
    gs2 = f"a={name}" if name else ""
    return b64encode(f"n,{gs2},\x01host=mail.example.org\x01port=587\x01auth=Bearer {token}\x01\x01".encode()).decode()


def xoauth2(token: str = "good", name: str = "alice") -> str:
    """A message of XOAUTH2 in base64."""
    return b64encode(f"user={name}\x01auth=Bearer {token}\x01\x01".encode()).decode()

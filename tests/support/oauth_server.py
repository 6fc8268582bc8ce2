"""
An authorization server on this machine that checks every parameter, and a judge of logins that knows which tokens it has given.

Whatever a client leaves out, adds or mixes up is a :attr:`AuthorizationServer.faults`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.support.certificates import make_certificate

CLIENT_ID, CLIENT_SECRET = "printer-app", "s3cret of the app"
SCOPES = ("https://mail.example.net/send", "offline_access")
REDIRECT = "http://127.0.0.1:8765"
USER = "scanner@example.net"

#: Long enough not to fit into the line of a command (RFC 4954 4).
_PADDING = "x" * 1500


class AuthorizationServer:
    """The server; ``life_seconds`` is how long its tokens are good, ``pending`` how often a device has to ask."""

    def __init__(self, directory: Path) -> None:
        self.certificate, self._key = make_certificate(directory, "localhost")
        self.faults: list[str] = []
        self.requests: list[dict[str, str]] = []
        self.life_seconds: Any = 3600
        self.pending = 1
        #: What is answered instead: a status and a body, or None for nothing at all.
        self.instead: tuple[int, bytes] | str | None = ""
        self.rotates = True
        self.good_tokens: set[str] = set()
        self.good_refresh_tokens: set[str] = set()
        self._count = 0
        self._challenges: dict[str, tuple[str, str]] = {}
        self._listening: Any = None

    def start(self, reactor: Any) -> None:
        """Listen with TLS."""
        root = Resource()
        for name in ("token", "device"):
            root.putChild(name.encode(), _Endpoint(self, name))
        context = DefaultOpenSSLContextFactory(self._key, self.certificate)
        self._listening = reactor.listenSSL(0, Site(root), context, interface="127.0.0.1")

    async def stop(self) -> None:
        """Do not listen any more."""
        await self._listening.stopListening()

    @property
    def base(self) -> str:
        """The address that all endpoints begin with."""
        return f"https://localhost:{self._listening.getHost().port}"

    def section(self, grant: str, name: str = "office", secret: str = CLIENT_SECRET) -> str:
        """The section of config.ini for a client of this server."""
        return (
            f"[oauth_client:{name}]\nclient_id = {CLIENT_ID}\nclient_secret = {secret}\ngrant = {grant}\n"
            f"scopes = {', '.join(SCOPES)}\nauthorization_endpoint = {self.base}/authorize?hl=en\n"
            f"token_endpoint = {self.base}/token\ndevice_endpoint = {self.base}/device\nauthority = {self.certificate}\n"
        )

    # What a person does

    def browse(self, address: str) -> str:
        """Log in at the page; the address at which the browser ends."""
        parts = urlsplit(address)
        query = dict(parse_qsl(parts.query, strict_parsing=True))
        self.expect("the page", f"{parts.scheme}://{parts.netloc}{parts.path}", f"{self.base}/authorize")
        wanted = {"hl": "en", "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": REDIRECT}
        wanted |= {"scope": " ".join(SCOPES), "code_challenge_method": "S256"}
        state, challenge = query.pop("state", ""), query.pop("code_challenge", "")
        self.expect("the query", query, wanted)
        self.expect("the length of the state", len(state) >= 20, True)
        self.expect("the length of the challenge", len(challenge), 43)
        code = self._new("code")
        self._challenges[code] = (challenge, REDIRECT)
        return f"{REDIRECT}/?state={state}&code={code}&scope={SCOPES[0]}"

    def revoke(self) -> None:
        """Take back all access tokens, and leave the refresh tokens."""
        self.good_tokens.clear()

    # What the submission server asks

    def judge(self, mechanism: str, message: bytes) -> str:
        """The answer to a login by XOAUTH2 or OAUTHBEARER."""
        fields = message.split(b"\x01")
        if mechanism == "XOAUTH2":
            self.expect("XOAUTH2", [fields[0], *fields[2:]], [b"user=" + USER.encode(), b"", b""])
            token = fields[1]
        else:
            self.expect("OAUTHBEARER", [fields[0], fields[4:]], [f"n,a={USER},".encode(), [b"", b""]])
            self.expect("the host", fields[1], b"host=localhost")
            self.expect("the port", fields[2][:5], b"port=")
            token = fields[3]
        self.expect("the scheme", token[:12], b"auth=Bearer ")
        good = token[12:].decode() in self.good_tokens
        return "235 2.7.0 welcome" if good else "535 5.7.8 the token is not good"

    # What the endpoints do

    def expect(self, what: str, got: object, wanted: object) -> bool:
        """Note what is not as it has to be."""
        if got != wanted:
            self.faults.append(f"{what}: {got!r} instead of {wanted!r}")
        return got == wanted

    def device(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """RFC 8628 3.1."""
        self.expect("the device form", form, {"client_id": CLIENT_ID, "scope": " ".join(SCOPES)})
        said = {
            "device_code": self._new("device"),
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://example.net/device",
        }
        return 200, {**said, "expires_in": 900, "interval": 1}

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """RFC 6749 3.2."""
        grant = form.get("grant_type", "")
        self.expect("client_id", form.pop("client_id", ""), CLIENT_ID)
        if form.pop("client_secret", "") != CLIENT_SECRET:
            return 401, {"error": "invalid_client", "error_description": "who are you?"}
        form.pop("grant_type", None)
        if grant == "authorization_code":
            return self._for_code(form)
        if grant == "refresh_token":
            if form.get("refresh_token") not in self.good_refresh_tokens:
                return 400, {"error": "invalid_grant", "error_description": "the consent was withdrawn"}
            self.expect("the refresh form", list(form), ["refresh_token"])
            if self.rotates:
                self.good_refresh_tokens.discard(form["refresh_token"])
            return self._give(refresh=self.rotates)
        if grant == "urn:ietf:params:oauth:grant-type:device_code":
            self.expect("the poll form", list(form), ["device_code"])
            if self.pending:
                self.pending -= 1
                return 400, {"error": "authorization_pending"}
            return self._give(refresh=True)
        if grant == "client_credentials":
            self.expect("the form", form, {"scope": " ".join(SCOPES)})
            return self._give(refresh=False)
        self.faults.append(f"grant_type {grant!r}")
        return 400, {"error": "unsupported_grant_type"}

    def _for_code(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        challenge, redirect = self._challenges.pop(form.get("code", ""), ("", ""))
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        self.expect("the code form", sorted(form), ["code", "code_verifier", "redirect_uri"])
        self.expect("the length of the verifier", 43 <= len(verifier) <= 128, True)
        self.expect("the redirect", form.get("redirect_uri"), redirect)
        if not self.expect("the verifier", digest, challenge):
            return 400, {"error": "invalid_grant"}
        return self._give(refresh=True)

    def _give(self, *, refresh: bool) -> tuple[int, dict[str, Any]]:
        token = self._new("access") + _PADDING
        self.good_tokens.add(token)
        said = {"access_token": token, "token_type": "Bearer", "expires_in": self.life_seconds, "scope": SCOPES[0]}
        if refresh:
            said["refresh_token"] = self._new("refresh")
            self.good_refresh_tokens.add(said["refresh_token"])
        return 200, said

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"


class _Endpoint(Resource):
    isLeaf = True  # noqa: N815 - Twisted asks for it

    def __init__(self, server: AuthorizationServer, name: str) -> None:
        super().__init__()
        self._server = server
        self._name = name

    def render(self, request: Any) -> Any:
        """Judge the request as a whole, and answer."""
        server = self._server
        server.expect("the method", request.method, b"POST")
        server.expect("the type", request.getHeader("content-type"), "application/x-www-form-urlencoded")
        server.expect("what is accepted", request.getHeader("accept"), "application/json")
        server.expect("the query", request.uri, f"/{self._name}".encode())
        form = dict(parse_qsl(request.content.read().decode(), strict_parsing=True))
        server.requests.append(dict(form))
        if server.instead is None:
            return NOT_DONE_YET
        if isinstance(server.instead, tuple):
            request.setResponseCode(server.instead[0])
            return server.instead[1]
        status, said = getattr(server, self._name)(form)
        request.setResponseCode(status)
        request.setHeader("content-type", "application/json")
        return json.dumps(said).encode()

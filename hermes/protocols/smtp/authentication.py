"""One SASL exchange inside an SMTP session (RFC 4954 4): base64 and lines around a mechanism."""

from __future__ import annotations

from hermes.core.reply import Reply
from hermes.protocols.receive_buffer import Line
from hermes.protocols.sasl import Malformed, Mechanism, Prompt, ServerPart, TokenHint, TokenRefused, decoded, encoded
from hermes.protocols.smtp.commands import Auth, refused
from hermes.protocols.smtp.events import Challenge, Credentials, Digest, KeysWanted, Proof, Refused, TokenShown
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.protocols.smtp.sequence import Session

#: What can come of a line of the client's.
Outcome = Challenge | KeysWanted | TokenShown | Credentials | Digest | Proof | Refused


class Exchange:
    """From AUTH until there is something to be judged, or it fails; it goes on for as long as challenges come out of it."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism

    def begin(self, initial: str | None) -> Outcome:
        """Take the initial response as it stands in the command; ``=`` is an empty one, None is none."""
        if initial is None:
            return self._step(None)
        return self._respond(b"" if initial == "=" else initial.encode("ascii"))

    def take(self, line: bytes | Line) -> Outcome:
        """Take the client's next line with its line end."""
        if isinstance(line, Line):
            return refused("auth.line_too_long", 500, "5.5.6", "The response is too long")
        if not line.endswith(b"\r\n"):
            return refused(
                "protocol.bare_newline", 500, "5.5.2", "Lines must end in CR LF; this one ended in a bare LF"
            )
        text = line[:-2].strip(b" ")
        if text == b"*":
            return refused("auth.canceled", 501, "5.7.0", "Login canceled")
        return self._respond(text)

    def _respond(self, text: bytes) -> Outcome:
        response = decoded(text)
        if response is None:
            return refused("auth.malformed", 501, "5.5.2", "The response is not base64")
        return self._step(response)

    def _step(self, response: bytes | None) -> Outcome:
        step = self._mechanism.step(response)
        if isinstance(step, Prompt):
            return Challenge(_challenge(step))
        if isinstance(step, Malformed):
            return refused("auth.malformed", 501, "5.5.2", step.reason)
        if isinstance(step, TokenRefused):
            # RFC 7628 3.2.3: now that the client has answered, the failure itself.
            return refused("login.token", 535, "5.7.8", "The token is not accepted")
        return step


def go_on(event: object, part: ServerPart | TokenHint) -> Reply:
    """The challenge with which an exchange goes on that has come to this event; RuntimeError when it does not want that."""
    match event, part:
        case KeysWanted(), ServerPart():
            return _challenge(event.proceed(part))
        case TokenShown(), TokenHint():
            return _challenge(event.refuse(part))
        case _:
            raise RuntimeError("nobody waits for that")


def _challenge(prompt: Prompt) -> Reply:
    return Reply(334, None, (encoded(prompt.octets),))


def unavailable(auth: Auth, session: Session, parameters: ServerParameters) -> Refused | None:
    """The refusal of a mechanism that is not offered now, or None."""
    if auth.mechanism in session.mechanisms(parameters):
        return None
    if auth.mechanism in parameters.mechanisms and session.starttls_offered(parameters):
        # RFC 4954 6
        return refused(
            "tls.required", 538, "5.7.11", "Use STARTTLS first: this login would go over the wire in the clear"
        )
    return refused("auth.mechanism", 504, "5.5.4", "That mechanism is not offered here")

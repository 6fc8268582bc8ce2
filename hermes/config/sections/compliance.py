"""``[compliance]``: what the mail of strangers must be like."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class ComplianceSettings:
    """What the mail of strangers must be like, and whose is not wanted. Everything is off unless it is asked for."""

    require_size: bool = setting("flag", False, "Whether MAIL must declare the size of the message.")
    refuse_html_only: bool = setting("flag", False, "Whether a message in HTML must have a plain text beside it.")
    refuse_not_mime: bool = setting("flag", False, "Whether a message must have the field MIME-Version.")
    require_subject: str = setting(
        "choice",
        "no",
        "Whether a message must have a subject: no, field (it must be there, and may be empty), text (it must say something).",
        choices=("no", "field", "text"),
    )
    require_date: bool = setting("flag", False, "Whether a message must have a date.")
    killfile: str = setting(
        "path",
        "",
        "File of addresses whose mail is refused, in the envelope or in From, Sender or Reply-To: joe@example.org, "
        "*@example.org, *.example.org, or with * and ?; one a line. Empty: none.",
    )
    exceptions: str = setting(
        "path",
        "",
        "File of senders, in the same form, whose messages are not looked at, only their size and the killfile's envelope. "
        "Empty: none.",
    )
    no_longer_valid: str = setting(
        "path",
        "",
        "File of addresses of ours that are no longer valid, one a line, each with what is to be said, or nothing. Empty: none.",
    )

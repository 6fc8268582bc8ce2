"""The sections ``[dnsbl:NAME]``: lists in the DNS of those whose mail is not wanted, or is."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class DNSBLSettings:
    """
    A list in the DNS about strangers who send. One section for each list, any number; their order decides.

    The first list that has the sender decides; a whitelist ends the search as well, and nothing more is done. All lists are
    asked at once, and one that does not answer in time is passed over. Mail for postmaster, and clients who have logged in,
    may relay or are exempt, are not checked.
    """

    enabled: bool = setting("flag", True, "Whether the list is asked.")
    zone: str = setting("text", "", "The list's domain, like zen.spamhaus.org.")
    kind: str = setting(
        "choice",
        "blacklist",
        "What it means to be in it: blacklist, or whitelist, which ends the search without harm.",
        choices=("blacklist", "whitelist"),
    )
    lookup: str = setting(
        "choice",
        "address",
        "What is looked up: the client's address, the domain of the sender's address, or the name in HELO.",
        choices=("address", "domain", "helo"),
    )
    answers: str = setting(
        "text",
        "any",
        "Which answers count: any, normal (127.0.0.2 alone), or addresses and ranges like 127.0.0.2-127.0.0.9. An answer that "
        "means that you may not ask never counts.",
    )
    action: str = setting(
        "choice",
        "reject",
        "What is done: reject; tag (a header is added to the message); redirect (to redirect_to, with the header); drop (reject, "
        "close, and report the client as an offender); note (the score alone, and the next lists are asked as well).",
        choices=("reject", "tag", "redirect", "drop", "note"),
    )
    score: int = setting("number", 0, "Points against the message, for sender_checks.refuse_above and the spam filter.")
    text: str = setting("text", "", "What a client is told who is refused. Empty: what the list says about it.")
    header: str = setting("text", "", "The header of tag and redirect. Empty: X-Blocked: Blocked by 'NAME'")
    redirect_to: str = setting("text", "", "Who gets what is redirected, an address here.")

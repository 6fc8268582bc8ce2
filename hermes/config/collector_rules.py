"""What the settings of the collectors must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault, is_address, is_loopback_host
from hermes.config.schema import Settings
from hermes.config.sections.collector import COLLECTOR_AUTH, CollectorSettings

#: A poll more often than this tells nothing sooner that anybody would notice, and many servers lock a box for it.
MIN_POLL_SECONDS = 10

# field-name = 1*ftext   (RFC 5322 3.6.8)
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}\Z")

_LINE_END = re.compile(r"[\x00\r\n]")


def collector_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[collector:NAME]`` that are broken."""
    boxes: dict[tuple[str, int, str], str] = {}
    for name, each in settings.collector.items():
        section = f"collector:{name}"
        host = (section, "host")
        if not each.host:
            yield Finding((host,), "is missing: write the name of the server")
        elif not is_address(each.host) and (fault := domain_fault(each.host.rstrip("."))):
            yield Finding((host,), fault)
        yield from _login(settings, section, each)
        yield from _distribution(settings, section, each)
        if each.poll < MIN_POLL_SECONDS:
            yield Finding(((section, "poll"),), f"is too often: write {MIN_POLL_SECONDS}s or more")
        box = (each.host.lower(), each.port, each.username)
        if each.enabled and boxes.setdefault(box, section) != section:
            yield Finding((host,), f"the same box is collected by [{boxes[box]}]: remove one of the two")


def _login(settings: Settings, section: str, each: CollectorSettings) -> Iterator[Finding]:
    username, password, oauth = (section, "username"), (section, "password"), (section, "oauth")
    if not each.username:
        yield Finding((username,), "is missing: a box cannot be opened without a login")
    if each.password and each.oauth:
        yield Finding((password, oauth), "a token takes the place of a password: remove one of the two")
    elif not each.password and not each.oauth:
        yield Finding((password, oauth), "is missing: write the password, or file:PATH, or the name of an OAuth client")
    for key in ("username", "password"):
        if _LINE_END.search(getattr(each, key)):
            yield Finding(((section, key),), "has a line end in it, which cannot be sent")
    if each.oauth and each.oauth not in settings.oauth_clients:
        close = difflib.get_close_matches(each.oauth, settings.oauth_clients, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"write [oauth_client:{each.oauth}]"
        yield Finding((oauth,), f"there is no OAuth client {each.oauth!r}: {remedy}")
    if each.tls == "none" and not each.auth and not is_loopback_host(each.host):
        text = "a password must not travel in the clear: write implicit or starttls; or name in auth what may be used even so"
        yield Finding(((section, "tls"), (section, "auth")), text)
    for name in each.auth:
        if name.lower() not in COLLECTOR_AUTH:
            close = difflib.get_close_matches(name.lower(), COLLECTOR_AUTH, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(COLLECTOR_AUTH)}"
            yield Finding(((section, "auth"),), f"{name!r} is not a way of logging in: {remedy}")


def _distribution(settings: Settings, section: str, each: CollectorSettings) -> Iterator[Finding]:
    account, default, leave = (section, "account"), (section, "default"), (section, "leave")
    if each.account and each.default:
        yield Finding((account, default), "the account gets everything: remove one of the two")
    if not each.account and not each.default and not settings.hermes.postmaster:
        yield Finding((account, default), "nobody gets this mail: write account, or default, or [hermes] postmaster")
    if not each.account and not each.recipient_headers:
        yield Finding(((section, "recipient_headers"), account), "is empty: write account if all mail is for one")
    if each.leave == "until-deleted" and not each.account:
        yield Finding(
            (leave, account), "only one account can delete a message for the box: write account, or leave = time"
        )
    for name in each.recipient_headers:
        if not _FIELD_NAME.match(name):
            yield Finding(((section, "recipient_headers"),), f"{name!r} is not the name of a header field")

"""Whether a list in the DNS works: its test entries (RFC 5782 5), and what it says about an address or a name."""

from __future__ import annotations

from ipaddress import ip_address

import attrs

from hermes.core.dns_answer import Answer, Status
from hermes.core.dns_list import (
    TEST_LISTED,
    TEST_LISTED_NAME,
    TEST_NOT_LISTED,
    TEST_NOT_LISTED_NAME,
    DNSList,
    Reading,
    name_question,
    reversed_address,
)
from hermes.interfaces import IResolver
from hermes.policy.dnsbl_record import meaning_of_refusal


@attrs.frozen
class Examined:
    """How it went: ``level`` is ``ok``, ``warn`` or ``fail``."""

    level: str
    text: str


async def examine(one: DNSList, resolver: IResolver) -> Examined:
    """Look up the entry that every list has for tests, and the one that none has."""
    if one.lookup == "address":
        listed, not_listed = TEST_LISTED, TEST_NOT_LISTED
        questions = [reversed_address(each, one.zone) for each in (listed, not_listed)]
    else:
        listed, not_listed = TEST_LISTED_NAME, TEST_NOT_LISTED_NAME
        questions = [f"{each}.{one.zone}" for each in (listed, not_listed)]
    there, absent = [await resolver.ipv4_addresses(question) for question in questions]
    for answer in (there, absent):
        if fault := _unusable(one, answer):
            return Examined("fail", fault)
    if not there.values:
        return Examined("fail", f"{one.zone} does not list its test entry {listed}: it is no list, or a dead one")
    if one.read(absent.values)[0] is Reading.LISTED:
        return Examined("fail", f"{one.zone} lists {not_listed}, which nobody may: it lists everybody, and has ended")
    if one.read(there.values)[0] is not Reading.LISTED:
        told = ", ".join(there.values)
        return Examined("warn", f"{one.zone} answers {told} for its test entry {listed}, which answers does not count")
    return Examined("ok", f"{one.zone} lists {listed} and does not list {not_listed}")


async def look_up(one: DNSList, resolver: IResolver, about: str) -> Examined:
    """What the list says about an address, or about a name when it is asked for names."""
    if one.lookup == "address":
        try:
            question = reversed_address(str(ip_address(about)), one.zone)
        except ValueError:
            return Examined("ok", f"{one.zone} is asked for addresses, and {about} is none")
    else:
        question = name_question(about, one.zone)
        if not question:
            return Examined("ok", f"{one.zone} is asked for names, and {about} is none")
    answer = await resolver.ipv4_addresses(question)
    if fault := _unusable(one, answer):
        return Examined("fail", fault)
    reading, _ = one.read(answer.values)
    if reading is Reading.LISTED:
        texts = [text.decode("ascii", "backslashreplace") for text in (await resolver.texts(question)).values]
        said = f" ({'; '.join(texts)})" if texts else ""
        return Examined("warn", f"{about} is listed: {question} is {', '.join(answer.values)}{said}")
    told = f", {', '.join(answer.values)} is not counted" if answer.values else ""
    return Examined("ok", f"{about} is not listed{told}")


def _unusable(one: DNSList, answer: Answer[str]) -> str:
    if answer.status is Status.UNAVAILABLE:
        return f"{one.zone} cannot be asked: {answer.reason}"
    reading, decisive = one.read(answer.values)
    if reading is Reading.REFUSED:
        return f"{one.zone} answers {decisive}, which means {meaning_of_refusal(decisive)}"
    return ""

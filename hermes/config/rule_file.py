"""
Mercury's files of general rules: one rule a line.

    # comment
    Label <name>
    [Disabled ]If [not ]header "TFCSRE" contains|is "text" <Action> "parameter"
    [Disabled ]If [not ]expression headers|body|both matches "expression" <Action> "parameter"
    [Disabled ]If [not ]attachment FullName|NamePart|ExtnPart matches|contains "text" <Action> "parameter"
    [Disabled ]If [not ]size <|> octets <Action> "parameter"
    [Disabled ]Always <Action> "parameter"

A set takes the place of the delivery. So what is written there and cannot be carried out is a mistake, with file, line and
remedy: to pass it over would be to lose mail, or to send it where nobody wanted it. A rule that is disabled is not looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import zip_longest

import attrs

from hermes.config.edited_text import read_text
from hermes.config.errors import ConfigError, Problem
from hermes.core.address import split
from hermes.core.answer import MAX_LINE_OCTETS
from hermes.core.expansion import Kind, Target
from hermes.core.mercury_expression import Expression, ExpressionError, compiled
from hermes.core.rule_set import (
    Always,
    Attached,
    Condition,
    InHeader,
    InLines,
    Name,
    Part,
    Rule,
    RuleSet,
    Size,
    Verb,
)

#: Those that people have written have some dozens of rules; Mercury shows them in one list.
MAX_RULES = 1000

#: A thousand of the longest lines are twice this.
MAX_OCTETS = 1024 * 1024
MAX_LINE = 2000

#: Each of them goes through the beginning of each message.
MAX_EXPRESSIONS = 200

#: Rules that send something: each is a row in the queue, and below AddHeader a copy of the message.
MAX_SENDING = 100

#: Fields that a set may add to one message, each up to the length of a line.
MAX_FIELDS = 50

#: mercury.md 3.11
MAX_LABEL = 45

#: Of a file that is something else altogether a few lines are examples enough.
MAX_PROBLEMS = 20

_LINE = re.compile(
    r"""
    (?: (?P<always> Always ) | If \s+ (?P<not> not \s+ )? (?P<subject> [a-z]+ ) \s+ (?P<test> .*? ) )
    \s+ (?P<verb> [a-z]+ ) (?: \s* " (?P<parameter> [^"]* ) " )? \s* \Z""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADER = re.compile(r'"(?P<letters>[^"]*)"\s+(?P<how>contains|is)\s+"(?P<text>[^"]*)"\Z', re.IGNORECASE)
_EXPRESSION = re.compile(r'(?P<part>headers|body|both)\s+matches\s+"(?P<expression>[^"]*)"\Z', re.IGNORECASE)
_ATTACHED = re.compile(
    r'(?P<part>FullName|NamePart|ExtnPart)\s+(?P<how>matches|contains)\s+"(?P<text>[^"]*)"\Z', re.IGNORECASE
)
_SIZE = re.compile(r"(?P<how>[<>])\s*(?P<octets>[0-9]{1,15})\Z")
_LABEL = re.compile(r'Label\s+(?:"(?P<quoted>[^"]*)"|(?P<plain>[^"]*))\Z', re.IGNORECASE)

# field-name = 1*ftext; ftext = %d33-57 / %d59-126   (RFC 5322 3.6.8)
_FIELD = re.compile(r"(?P<name>[!-9;-~]{1,76}):[ \t]*(?P<text>[\x20-\x7e]*)\Z")

#: The letters of header conditions (mercury.md 3.11).
_LETTERS = {"t": "to", "f": "from", "c": "cc", "s": "subject", "r": "reply-to", "e": "sender"}

#: RFC 5322 3.6: of these a message has one at most. The others are traces of servers (RFC 5321 4.4), and of ours by which loops
#: are found.
_NOT_TO_BE_ADDED = frozenset(
    {
        *(
            "date",
            "from",
            "sender",
            "reply-to",
            "to",
            "cc",
            "bcc",
            "message-id",
            "in-reply-to",
            "references",
            "subject",
        ),
        *("return-path", "received", "delivered-to", "x-autoforward", "mime-version", "content-type"),
        *("content-transfer-encoding", "content-disposition"),
    }
)

_VERBS = {verb.value.lower(): verb for verb in Verb if verb is not Verb.LABEL}
_SENDING = frozenset({Verb.COPY, Verb.MOVE, Verb.FORWARD, Verb.SEND_TEXT, Verb.SEND_TEMPLATE})
_JUMPS = frozenset({Verb.GOTO, Verb.CALL})

_OUT = "take the line out, or write Disabled before it"

#: What to do where Mercury did something that is not there, by its words in small letters.
_INSTEAD = {
    "extract": 'write Copy "PUBLIC:name", which keeps each message',
    "append": 'write Copy "PUBLIC:name", which keeps each message',
    "run": "let an alias stand for |command",
    "waitfile": "let an alias stand for |command",
    "sendmessage": 'write SendTextFile "path" for an answer to the sender',
    "sendbinaryfile": 'write SendTextFile "path" for an answer to the sender',
    "age": "use header, expression or size",
    "date": "use header, expression or size",
    "listscan": "use header with one of the addresses",
}

# Below one directory, whatever it is called, as the PUBLIC: of aliases.
_FOLDER = re.compile(r"[^\x00-\x1f/\\.][^\x00-\x1f/\\]{0,99}\Z")
_ACCOUNT = re.compile(r"[a-z0-9_+][a-z0-9._+-]{0,63}\Z", re.IGNORECASE)


def read_rules(path: str) -> RuleSet:
    """The set in a file as it is now; raise ConfigError. Waits for the disk."""
    text = read_text(path, MAX_OCTETS, "rules")
    if "\0" in text:
        raise ConfigError(path, [Problem("is no text: write the rules with an editor of texts")])
    # DOS ends a text with control-Z.
    text = text.partition("\x1a")[0]
    return parse_rules(path, text)


def parse_rules(path: str, text: str) -> RuleSet:
    """The set that a text is; raise ConfigError."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content or content.startswith("#") or content.lower().startswith("disabled "):
            continue
        try:
            if len(rules) >= MAX_RULES:
                raise ValueError(f"this is more than {MAX_RULES} rules: divide them among several addresses")
            rules.append(parse_line(content, number, path))
        except ValueError as error:
            problems.append(Problem(str(error), number))
            if len(rules) >= MAX_RULES or len(problems) >= MAX_PROBLEMS:
                break
    if not problems:
        problems = list(_together(rules))
    if problems:
        raise ConfigError(path, problems)
    labels = {rule.argument: place for place, rule in enumerate(rules) if rule.verb is Verb.LABEL}
    return RuleSet(path, tuple(rules), labels)


def parse_line(text: str, number: int, path: str) -> Rule:
    """One rule; ValueError says what is wrong with it and what to write."""
    if len(text) > MAX_LINE:
        raise ValueError(f"has {len(text)} characters: write {MAX_LINE} at most")
    if label := _LABEL.match(text):
        name = (label["quoted"] if label["quoted"] is not None else label["plain"]).strip()
        return Rule(number, text, Verb.LABEL, argument=_label(name))
    found = _LINE.match(text)
    if found is None:
        raise ValueError(
            f'{text[:60]!r} is no rule: write If header "S" contains "text" Copy "name", Always Exit, or another'
            " of those in docs/directory.md"
        )
    verb = _VERBS.get(found["verb"].lower())
    if verb is None:
        raise ValueError(f"{found['verb']} is no action of Hermes: {_remedy(found['verb'])}")
    condition = Always() if found["always"] else _condition(found["subject"], found["test"])
    rule = Rule(number, text, verb, condition, bool(found["not"]))
    return _with_parameter(rule, (found["parameter"] or "").strip(), path)


def _remedy(word: str) -> str:
    instead = _INSTEAD.get(word.lower())
    return f"{instead}, or {_OUT}" if instead else _OUT


def _label(name: str) -> str:
    if not name or len(name) > MAX_LABEL:
        raise ValueError(f"a label has 1 to {MAX_LABEL} characters, and {name[:60]!r} has {len(name)}")
    return name.lower()


def _condition(subject: str, test: str) -> Condition:
    match subject.lower():
        case "header":
            return _header(test)
        case "expression":
            found = _EXPRESSION.match(test)
            if found is None:
                raise ValueError('write If expression headers matches "expression", or body, or both')
            return InLines(Part(found["part"].lower()), _expression(found["expression"]))
        case "attachment":
            return _attached(test)
        case "size":
            found = _SIZE.match(test)
            if found is None:
                raise ValueError("write If size > octets or If size < octets, like If size > 1000000")
            return Size(int(found["octets"]), found["how"] == ">")
        case _:
            raise ValueError(f"{subject} is no condition of Hermes: {_remedy(subject)}")


def _expression(text: str) -> Expression:
    try:
        return compiled(text)
    except ExpressionError as error:
        raise ValueError(f"the expression cannot be understood, {error}") from None


def _attached(test: str) -> Attached:
    found = _ATTACHED.match(test)
    if found is None:
        raise ValueError('write If attachment FullName contains "text", or NamePart, or ExtnPart, or matches')
    part = next(name for name in Name if name.value.lower() == found["part"].lower())
    if found["how"].lower() == "matches":
        return Attached(part, expression=_expression(found["text"]))
    if not found["text"]:
        raise ValueError('every name contains nothing: write the text, or matches "*" for any file')
    return Attached(part, found["text"].lower())


def _header(test: str) -> InHeader:
    found = _HEADER.match(test)
    if found is None:
        raise ValueError('write If header "TFCSRE" contains "text", or is, without quotes in the text')
    unknown = set(found["letters"].lower()) - set(_LETTERS)
    if unknown:
        raise ValueError(
            f"{''.join(sorted(unknown)).upper()!r} is no header: T is To, F From, C Cc, S Subject, R Reply-To, E Sender"
        )
    text, whole = found["text"].lower(), found["how"].lower() == "is"
    if not text and not whole:
        raise ValueError("every header contains nothing: write the text, or Always")
    names = dict.fromkeys(_LETTERS[letter] for letter in found["letters"].lower())
    return InHeader(tuple(names), text.strip() if whole else text, whole)


def _with_parameter(rule: Rule, parameter: str, path: str) -> Rule:
    verb = rule.verb
    match verb:
        case Verb.COPY | Verb.MOVE:
            return attrs.evolve(rule, target=_mailbox(verb, parameter))
        case Verb.FORWARD:
            return attrs.evolve(rule, target=Target(Kind.OUTSIDE, _address(parameter), "", "", forwarded=True))
        case Verb.SEND_TEXT | Verb.SEND_TEMPLATE:
            kind = Kind.FILE if verb is Verb.SEND_TEXT else Kind.TEMPLATE
            return attrs.evolve(rule, target=Target(kind, "", _file(verb, parameter, path)))
        case Verb.ADD_HEADER:
            return attrs.evolve(rule, argument=_field(parameter))
        case Verb.GOTO | Verb.CALL:
            return attrs.evolve(rule, argument=_label(parameter))
    if parameter:
        raise ValueError(f"{verb.value} has no parameter: take {parameter[:60]!r} out")
    return rule


def _mailbox(verb: Verb, parameter: str) -> Target:
    """Where Copy and Move put a message: never a path, so nothing is written but where mail is kept."""
    kind, colon, name = parameter.partition(":")
    if colon and kind.upper() == "PUBLIC":
        if not _FOLDER.match(name.strip()):
            raise ValueError("PUBLIC: needs the name of a folder below [directory] public, without / and not hidden")
        return Target(Kind.PUBLIC, "", name.strip())
    if parameter.startswith("@"):
        raise ValueError(f'{verb.value} into a directory is not there: write {verb.value} "PUBLIC:name"')
    if not _ACCOUNT.match(parameter):
        raise ValueError(
            f"{parameter[:60]!r} is not the name of an account: write one, or PUBLIC:name; for an address there is Forward"
        )
    return Target(Kind.MAILBOX, "", parameter.lower())


def _address(text: str) -> str:
    local_part, domain = split(text)
    if not local_part or not domain or len(text) > 254 or re.search(r"[\x00-\x20\x7f,<>\"@]", local_part + domain):
        raise ValueError(f'{text[:60]!r} is no address: write Forward "name@example.org"')
    return text


def _file(verb: Verb, parameter: str, path: str) -> str:
    if not parameter:
        raise ValueError(f"{verb.value} needs the path of a file")
    file = os.path.normpath(os.path.join(os.path.dirname(path), parameter))
    if not os.path.isfile(file) or not os.access(file, os.R_OK):
        raise ValueError(f"{file} cannot be read: write the path of a text, beside the file of rules or in full")
    return file


def _field(parameter: str) -> str:
    found = _FIELD.match(parameter)
    if found is None or not found["text"].strip():
        raise ValueError(f'{parameter[:60]!r} is no header field in ASCII: write AddHeader "X-Name: text"')
    if len(parameter) > MAX_LINE_OCTETS:
        raise ValueError(f"the field has {len(parameter)} characters: write {MAX_LINE_OCTETS} at most (RFC 5322 2.1.1)")
    if found["name"].lower() in _NOT_TO_BE_ADDED:
        raise ValueError(
            f"{found['name']} is there already, or is the server's to write: choose another name, like X-Name"
        )
    return f"{found['name']}: {found['text'].strip()}"


def _together(rules: list[Rule]) -> Iterable[Problem]:
    """What is wrong with rules that are right, each for itself."""
    if all(rule.verb is Verb.LABEL for rule in rules):
        # It may also be that somebody is just writing the file.
        yield Problem("has no rule, and nobody would get the mail: write one, or Always Delete if that is meant")
    labels: dict[str, int] = {}
    for rule in rules:
        if rule.verb is Verb.LABEL and (first := labels.setdefault(rule.argument, rule.line)) != rule.line:
            yield Problem(f"the label stands in line {first} already: give one of them another name", rule.line)
    for rule, behind in zip_longest(rules, rules[1:]):
        if rule.verb in _JUMPS and rule.argument not in labels:
            yield Problem(f"there is no Label {rule.argument}: write it before the rule that is to be next", rule.line)
        if rule.verb is Verb.LOGICAL_AND and (behind is None or behind.verb is Verb.LABEL):
            yield Problem("no rule follows that both conditions could decide on: write it below", rule.line)
    expressions = [rule for rule in rules if isinstance(rule.condition, InLines | Attached)]
    sending = [rule for rule in rules if rule.verb in _SENDING]
    adding = [rule for rule in rules if rule.verb is Verb.ADD_HEADER]
    for counted, most, what in (
        (expressions, MAX_EXPRESSIONS, "expressions: join some of them by * and [...]"),
        (sending, MAX_SENDING, "rules that send the message: forward it to a list"),
        (adding, MAX_FIELDS, "rules with AddHeader: take some out"),
    ):
        if len(counted) > most:
            yield Problem(f"this is more than {most} {what}", counted[most].line)

"""
The rules that the source refuses by, with what it says, as they stand in the text of the modules.

Only what can be read from the text is found: literals, names of constants, and f-strings, whose variable parts become ``*``. A
rule that is handed on from somewhere else is none of its own; where that is done is returned too, so that a test can look at it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

#: Which argument is the rule, for calls that make a refusal of their own; and the events of engines that are refusals.
_OTHERS = {"_busy": 0, "_Kind": 3, "MessageFailed": 0}
_OF_PROTOCOLS = ("Refused", "refused")

#: Where a part of a text is not known before the server runs.
_OPEN = "\0"


@attrs.frozen
class Rule:
    """One place that refuses: ``name`` has ``*`` for what varies, ``said`` is a pattern of the reply or empty."""

    name: str
    said: str
    place: str


class Module:
    """The text of one module."""

    def __init__(self, path: Path, place: str) -> None:
        self._place = place
        self._tree = ast.parse(path.read_text())
        self._constants: dict[str, ast.expr] = {}
        self._known = self._constants
        self._scopes: dict[int, dict[str, ast.expr]] = {}
        for node in self._tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._constants[name] = value
        self._names = {
            item.value.value
            for node in self._tree.body
            if isinstance(node, ast.ClassDef)
            for item in node.body
            if isinstance(item, ast.Assign)
            and [target.id for target in item.targets if isinstance(target, ast.Name)] == ["name"]
            and isinstance(item.value, ast.Constant)
        }

    def rules(self) -> Iterator[Rule | str]:
        """The rules; a text where one is handed on."""
        for function in ast.walk(self._tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                names = {
                    target.id: node.value
                    for node in ast.walk(function)
                    if isinstance(node, ast.Assign)
                    for target in node.targets
                    if isinstance(target, ast.Name)
                }
                for node in ast.walk(function):
                    self._scopes[id(node)] = names
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                self._known = {**self._constants, **self._scopes.get(id(node), {})}
                yield from self._of_call(node)

    def _of_call(self, call: ast.Call) -> Iterator[Rule | str]:
        name = _called(call)
        if name == "Verdict":
            rule, said = _argument(call, 1, "rule"), _argument(call, 0, "reply")
        elif name in _OTHERS:
            rule, said = _argument(call, _OTHERS[name], "rule"), None
        elif name == "evolve":
            rule, said = _argument(call, 9, "rule"), None
        elif name == "_refused" and "finger" in self._place:
            rule, said = _argument(call, 0, "rule"), _argument(call, 1, "text")
        elif name in _OF_PROTOCOLS and _is_engine(self._place):
            rule = _argument(call, 0, "rule")
            if name == "refused" and "smtp" not in self._place:
                # In POP3 that makes an answer, and the event has the rule.
                return
            said = call if name == "refused" else _argument(call, 1, "reply")
        else:
            return
        if rule is None:
            return
        if isinstance(rule, ast.Name):
            rule = self._known.get(rule.id, rule)
        for one in (rule.body, rule.orelse) if isinstance(rule, ast.IfExp) else (rule,):
            found = self._text(one)
            if found is None or found == _OPEN:
                yield f"{self._place}: {ast.unparse(one)}"
            elif found != "default":
                yield Rule(found.replace(_OPEN, "*"), self._said(said), f"{self._place}:{call.lineno}")

    def _text(self, node: ast.expr | None) -> str | None:
        """A text with ``_OPEN`` where it is not known; None when it is none."""
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Constant(value=bytes() as octets):
                return octets.decode("ascii").rstrip("\r\n")
            case ast.JoinedStr(values=values):
                return "".join(self._text(value) or _OPEN for value in values)
            case ast.FormattedValue(value=value):
                return self._text(value) or _OPEN
            case ast.Name(id=name) if name in self._known:
                return self._text(self._known[name])
            case ast.Attribute(value=ast.Name(id="self"), attr="name") if len(self._names) == 1:
                return str(next(iter(self._names)))
        return None

    def _said(self, node: ast.expr | None) -> str:
        """A pattern of a reply that is made where the rule is; empty when it comes from elsewhere."""
        match node:
            case ast.Name(id=name) if name in self._known:
                return self._said(self._known[name])
            case ast.Constant(value=bytes()):
                return _pattern(self._text(node) or "")
            case ast.Call() if _called(node) == "of":
                return self._smtp(node.args)
            case ast.Call() if _called(node) == "refused" and "smtp" in self._place:
                return self._smtp(node.args[1:])
            case ast.Call() if _called(node) == "refused":
                text, code = self._text(node.args[0]), self._text(node.args[1]) if len(node.args) > 1 else ""
                return _pattern(f"-ERR [{code}] {text}" if code else f"-ERR {text}") if text else ""
        return ""

    def _smtp(self, arguments: list[ast.expr]) -> str:
        code, enhanced, text = arguments
        known = self._text(text)
        if not isinstance(code, ast.Constant) or known is None:
            return ""
        status = f"{self._text(enhanced) or _OPEN} " if ast.unparse(enhanced) != "None" else ""
        return _pattern(f"{code.value} {status}{known}")


def rules(root: Path, packages: tuple[str, ...]) -> tuple[list[Rule], set[str]]:
    """The rules of some packages, and the places where rules are handed on."""
    found, handed_on = [], set()
    for package in packages:
        for path in sorted((root / "hermes" / package).rglob("*.py")):
            for each in Module(path, str(path.relative_to(root / "hermes"))).rules():
                if isinstance(each, Rule):
                    found.append(each)
                else:
                    handed_on.add(each)
    return found, handed_on


def _is_engine(place: str) -> bool:
    """True for the engines of servers: those of clients have refusals of another kind."""
    return place.startswith("protocols/") and not re.search(r"client|smtp/transaction|ph\.py", place)


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _pattern(text: str) -> str:
    return ".+".join(re.escape(part) for part in text.split(_OPEN))

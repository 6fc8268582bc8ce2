"""The page of standards is true: it lists what the source cites, and the source cites what it says is held."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

_ROW = re.compile(r"\| (\d+) \| ([^|]+) \| (yes|partly|planned|no) \|([^|]*)\|([^|]*)\|\Z")

# "RFC 5321 5.1", "RFC 3207, 7435, 8314", "RFC 5321 3.1, 3207 (STARTTLS), 8314 (implicit TLS)", "RFC 1870, 3461 and 3030"
_CITATION = re.compile(r"RFC (\d{3,5})((?:(?: \d+(?:\.\d+)*| \([^()]*\))*(?:,| and) \d{4}\b(?!\.\d))*)")

#: Cited because Hermes knows these words and refuses them.
_REFUSED = {2645}


@attrs.frozen
class Row:
    """One line of the page."""

    number: int
    title: str
    holds: str
    remark: str
    module: str


def rows() -> list[Row]:
    """All lines that begin with a number."""
    found = []
    for line in (ROOT / "docs" / "protocols.md").read_text().splitlines():
        if re.match(r"\| *\d", line):
            match = _ROW.match(line)
            if match is None:
                raise ValueError(f"not a row as the page has them: {line}")
            number, title, holds, remark, module = match.groups()
            found.append(Row(int(number), title, holds, remark.strip(), module.strip().strip("`")))
    return found


def cited(text: str) -> set[int]:
    """The RFCs that a source text cites."""
    found = set()
    # A citation may go on in the next line of a comment.
    for match in _CITATION.finditer(re.sub(r"\n *(?:#:? )?", " ", text)):
        found.add(int(match[1]))
        found.update(int(number) for number in re.findall(r"(?:,| and) (\d{4})\b", match[2]))
    return found


class ProtocolsPageTests(SynchronousTestCase):
    """``docs/protocols.md`` against ``hermes/``."""

    def setUp(self) -> None:
        """Read both."""
        self.rows = {row.number: row for row in rows()}
        self.sources = {
            str(path.relative_to(ROOT)): cited(path.read_text()) for path in (ROOT / "hermes").rglob("*.py")
        }

    def test_citations(self) -> None:
        """Every way in which the source cites is understood here."""
        self.assertEqual(cited("RFC 5321 4.5.3.1.4 says 512, RFC 1870, 3461 and 3030 more"), {5321, 1870, 3461, 3030})
        self.assertEqual(cited("(RFC 5321 3.1, 3207 (STARTTLS), 8314)"), {5321, 3207, 8314})
        self.assertEqual(cited("# RFC 2034,\n    # 3463 and RFC\n    # 821 2"), {2034, 3463, 821})
        self.assertEqual(cited("RFC 3030 (both), 3461; it was 2026"), {3030, 3461})

    def test_each_once(self) -> None:
        """No RFC is listed twice."""
        self.assertEqual(len(rows()), len(self.rows))
        self.assertGreater(len(self.rows), 100)

    def test_what_is_cited_is_listed(self) -> None:
        """What the source follows is on the page, as held."""
        for path, numbers in self.sources.items():
            for number in numbers - _REFUSED:
                self.assertIn(number, self.rows, path)
                self.assertIn(self.rows[number].holds, ("yes", "partly"), f"{path} cites RFC {number}")
        for number in _REFUSED:
            self.assertEqual(self.rows[number].holds, "no")

    def test_what_is_held_is_cited(self) -> None:
        """What is listed as held names a module that cites it and says what holds; what is not names none."""
        for row in self.rows.values():
            if row.holds in ("yes", "partly"):
                self.assertIn(row.module, self.sources, f"RFC {row.number}")
                self.assertIn(row.number, self.sources[row.module], row.module)
                self.assertTrue(row.remark, f"RFC {row.number}: what holds, or what is missing?")
            else:
                self.assertEqual(row.module, "", f"RFC {row.number}")

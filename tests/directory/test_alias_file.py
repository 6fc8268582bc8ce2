"""Files of aliases, Mercury's and others', taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.directory.sources.alias_file import MAX_PROBLEMS, MAX_TARGETS, AliasFileError, decoded, parse

PATH = "/site/data/aliases"


def entries(text: str, *, programs: bool = False, domain: str = "") -> dict[str, tuple[str, ...]]:
    """What the names stand for."""
    return {key: entry.targets for key, entry in parse(PATH, text, programs=programs, domain=domain)[0].items()}


class FormTests(SynchronousTestCase):
    """What is understood."""

    def test_mercury(self) -> None:
        """Mercury's form, with its three kinds of comments, in any case, and with spaces or without."""
        text = "; a\r\n# b == c\r\n* d\r\n\r\nSales@Example.ORG == Joe@example.net\r\ninfo==joe\r\n   x  ==  y@example.org  \r\n"
        expected = {"sales@example.org": ("Joe@example.net",), "info": ("joe",), "x": ("y@example.org",)}
        self.assertEqual(entries(text), expected)

    def test_lists(self) -> None:
        """A list behind a colon, over several lines, with comments in between; the same target counts once."""
        text = "team: a, b@example.org,\n  c\n# no\n\td,, a\nnext: e\nmore == f, g"
        self.assertEqual(entries(text), {"team": ("a", "b@example.org", "c", "d"), "next": ("e",), "more": ("f", "g")})

    def test_lines(self) -> None:
        """Every entry knows its line; that of a list is its first."""
        found, _ = parse(PATH, "\n# c\na: b,\n c\nd == e")
        self.assertEqual([entry.place for entry in found.values()], [f"{PATH}:3", f"{PATH}:5"])

    def test_special(self) -> None:
        """Files are meant beside the file of aliases; commands take the line, or stand in quotes in a list."""
        text = (
            'a == file: texts/info.txt\nb: TFILE:/x/y.txt\nc == PUBLIC:lost and found\nd: joe, "|p \\"a, b\\"", FILE:z'
            '\nf: "filter:rules/info.rul", joe'
        )
        expected = {
            "a": ("FILE:/site/data/texts/info.txt",),
            "b": ("TFILE:/x/y.txt",),
            "c": ("PUBLIC:lost and found",),
            "d": ("joe", '|p "a, b"', "FILE:/site/data/z"),
            "f": ("FILTER:/site/data/rules/info.rul", "joe"),
        }
        self.assertEqual(entries(text, programs=True), expected)
        self.assertEqual(entries("e == |cat, x | y", programs=True), {"e": ("|cat, x | y",)})
        self.assertEqual(entries("e: |cat\n x", programs=True), {"e": ("|cat x",)})

    def test_other_letters(self) -> None:
        """Names outside ASCII are the same however they are composed; domains are compared as the DNS knows them."""
        self.assertEqual(list(entries("Jo\u0308rg@b\u00fccher.example == x")), ["j\u00f6rg@xn--bcher-kva.example"])

    def test_of_a_domain(self) -> None:
        """In the file of a domain a name without one is at that domain, and one of another is a mistake."""
        found = entries("a == b\nc@shop.example == d", domain="shop.example")
        self.assertEqual(list(found), ["a@shop.example", "c@shop.example"])
        error = self.assertRaises(AliasFileError, parse, PATH, "a == b\nx@example.org == y", domain="shop.example")
        self.assertEqual(error.line, 2)

    def test_twice(self) -> None:
        """Of two of Mercury's lines the first counts, and a remark says so; the same line twice is no matter."""
        found, remarks = parse(PATH, "a == b\nA == c\na == b\n")
        self.assertEqual(found["a"].targets, ("b",))
        self.assertEqual(len(remarks), 1)
        self.assertTrue(remarks[0].startswith(f"{PATH}:2: A stands in line 1"), remarks)


class MistakeTests(SynchronousTestCase):
    """What is not, with file and line."""

    def test_mistakes(self) -> None:
        """Each is named with its line and a remedy."""
        for line, words in (
            ("joe", "neither name == target"),
            ("== joe", "no name"),
            (": joe", "no name"),
            ("a ==", "stands for nothing"),
            ("a: ,,", "stands for nothing"),
            ("a b == c", "neither an address"),
            ("@example.org == c", "not an address"),
            ("a == b c", "neither an address nor a name"),
            ("a == <b@example.org>", "not an address"),
            ("a == b@@example.org", "not an address"),
            ("a@b@example.org == c", "not an address"),
            ('a: "b', "quotes"),
            ('a: ""', "neither"),
            ("x" * 65 + " == c", "neither an address"),
            ("a == FILTER:", "FILTER: needs the path"),
            ("a == DAEMON:x.dll", "DAEMON:"),
            ("a == FILE:", "needs the path"),
            ("a == PUBLIC:../x", "name of a folder"),
            ("a == PUBLIC:.hidden", "name of a folder"),
            ("a == |cat", "programs = yes"),
            ("q: other\nq: again", "write one list"),
        ):
            error = self.assertRaises(AliasFileError, parse, PATH, f"ok == x\n{line}")
            last = 2 + line.count("\n")
            self.assertTrue(str(error).startswith(f"{PATH}:{last}: "), f"{line!r}: {error}")
            self.assertIn(words, str(error))
        error = self.assertRaises(AliasFileError, parse, PATH, "a == |", programs=True)
        self.assertIn("needs a command", str(error))

    def test_all_at_once(self) -> None:
        """Every line that is wrong is named, in the order of the file; the last one that is told is the twentieth."""
        text = "a == b c\nno sign\n  goes nowhere\nok == x\nd == DAEMON:x.dll\nq: x\nq: y"
        lines = str(self.assertRaises(AliasFileError, parse, PATH, text)).splitlines()
        self.assertEqual([line.split(":")[1] for line in lines], ["1", "2", "3", "5", "7"])
        for count in (MAX_PROBLEMS - 1, MAX_PROBLEMS, MAX_PROBLEMS + 1, 5000):
            lines = str(self.assertRaises(AliasFileError, parse, PATH, "no sign\n" * count)).splitlines()
            self.assertEqual(len(lines), min(count, MAX_PROBLEMS))

    def test_continuation_of_nothing(self) -> None:
        """A line that begins with white space needs a list above it."""
        for text in (" a", "x == y\n z"):
            self.assertIn("to continue", str(self.assertRaises(AliasFileError, parse, PATH, text)))

    def test_too_many(self) -> None:
        """A list may have so many addresses, and not one more."""
        targets = [f"u{number}" for number in range(MAX_TARGETS + 1)]
        self.assertEqual(len(entries(f"a: {','.join(targets[:-1])}")["a"]), MAX_TARGETS)
        self.assertIn("the most is", str(self.assertRaises(AliasFileError, parse, PATH, f"a: {','.join(targets)}")))


class TextTests(SynchronousTestCase):
    """Octets of a file."""

    def test_encodings(self) -> None:
        """UTF-8, with its mark or without, else Windows's; DOS's end of file ends it."""
        self.assertEqual(decoded(PATH, "\ufeffä".encode()), "ä")
        self.assertEqual(decoded(PATH, "ä".encode("cp1252")), "ä")
        self.assertEqual(decoded(PATH, b"a == b\r\n\x1agarbage"), "a == b\r\n")

    def test_binary(self) -> None:
        """Mercury's compiled file is refused with the remedy."""
        error = self.assertRaises(AliasFileError, decoded, PATH, b"ALIAS\n\0\0")
        self.assertIn("MALIAS", str(error))
        self.assertEqual(error.line, 2)

    @given(st.text(), st.booleans())
    def test_anything(self, text: str, programs: bool) -> None:
        """Any text is understood or refused with a line of it."""
        try:
            found, _ = parse(PATH, text, programs=programs)
        except AliasFileError as error:
            self.assertTrue(1 <= error.line <= text.count("\n") + 1)
        else:
            for key, entry in found.items():
                self.assertTrue(key and entry.targets and all(entry.targets))

    @given(
        st.dictionaries(
            st.from_regex(r"[a-z0-9._+-]{1,20}", fullmatch=True),
            st.lists(
                st.from_regex(r"[a-z0-9._+-]{1,10}@[a-z]{1,10}\.example", fullmatch=True), min_size=1, unique=True
            ),
        )
    )
    def test_written_is_read(self, aliases: dict[str, list[str]]) -> None:
        """What is written in either form is read so."""
        for separator in ("==", ":"):
            text = "\n".join(f"{name} {separator} {', '.join(targets)}" for name, targets in aliases.items())
            self.assertEqual(entries(text), {name: tuple(targets) for name, targets in aliases.items()})

"""The words of reports: templates, phrases, and how they are filled in."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.report import Action, Fate, Report
from hermes.core.report_message import compose
from hermes.core.report_wording import ENGLISH, SENDER, Template, Text, Wording, parse_phrases, parse_template
from tests.core.test_report import REFUSED, UNREACHABLE, parsed, parts, report, text_of


def faults(text: str, kind: Text = Text.FAILURE) -> list[tuple[int, str]]:
    """What is wrong with a template."""
    found: list[tuple[int, str]] = []
    parse_template(kind, text, lambda line, words: found.append((line, words)))
    return found


def phrase_faults(text: str) -> list[tuple[int, str]]:
    """What is wrong with phrases."""
    found: list[tuple[int, str]] = []
    parse_phrases(text, lambda line, words: found.append((line, words)))
    return found


def wording(text: str, kind: Text = Text.FAILURE, **more: str) -> Wording:
    """English but for one template."""

    def fault(line: int, words: str) -> None:
        raise AssertionError(f"{line}: {words}")

    template = parse_template(kind, text, fault)
    return attrs.evolve(ENGLISH, templates={**ENGLISH.templates, kind: template}, **more)


def said(text: str, **changes: object) -> str:
    """The text of a failure with this body of a template."""
    return text_of(compose(report(wording=wording(f"Subject: x\n\n{text}\n~R"), **changes)))


class ParsingTests(SynchronousTestCase):
    """What a template is, and what is wrong with others."""

    def test_parts(self) -> None:
        """Comments go, Subject and From are taken, the rest is the text as it is laid out."""
        text = "; comment\nFrom: Mail\nSubject: Sorry, ~S\n\n\n  One\n; comment\n\nTwo ~R\n\n"
        template = parse_template(Text.FAILURE, text, self.fail)
        self.assertEqual(template, Template("Sorry, ~S", "  One\n\nTwo ~R", "Mail"))
        self.assertEqual(parse_template(Text.FAILURE, "Subject: a\n\n~r", self.fail).sender, SENDER)

    def test_faults(self) -> None:
        """Each fault is told with its line and a remedy."""
        for text, line, part in (
            ("", 1, "no subject"),
            ("Subject:\n\n~R", 1, "no subject"),
            ("Subject: x\n\n", 1, "no text"),
            ("Subject: x\n\nWhat happened", 1, "~R is missing"),
            ("Dear sender\n\n~R", 1, "no header field"),
            ("Subject: x\n y\n\n~R", 2, "no header field"),
            ("Subject: x\nSubject: y\n\n~R", 2, "twice"),
            ("Subject: x\nTo: ~T\n\n~R", 2, "to is written by Hermes"),
            ("Subject: x\nContent-Type: text/html\n\n~R", 2, "content-type is written by Hermes"),
            ("Subject: x\nFrom: postmaster@example.org\n\n~R", 2, "without an address"),
            ("Subject: ~R\n\n~R", 1, "~R stands for nothing here"),
            ("Subject: x\n\n~R\n--~Y", 4, "put together by Hermes"),
            ("Subject: x\n\n~R\n100~% ~x", 4, "write ~~"),
            ("Subject: x\n\n~R ~p5", 3, "~p5"),
        ):
            self.assertIn((line, part), [(at, part) for at, words in faults(text) if part in words], text)

    def test_excerpts_only_with_a_failure(self) -> None:
        """Without a failure nothing but the header goes back (RFC 3461 6.2), so no other template has the body."""
        for letter in "GBM":
            text = f"Subject: x\n\n~R ~{letter}"
            self.assertEqual(faults(text), [])
            for kind in Text:
                if kind is not Text.FAILURE:
                    self.assertIn("only failure.txt returns", faults(text, kind)[0][1])

    def test_phrases(self) -> None:
        """Phrases have their names; further status codes may be explained."""
        found = parse_phrases("; comment\n\nwrong = Was schief ging:\nadvice-7.26 = x\n", self.fail)
        self.assertEqual(found, {"wrong": "Was schief ging:", "advice-7.26": "x"})

    def test_faults_in_phrases(self) -> None:
        """Unknown and repeated names, and substitutions that the phrase does not have."""
        for text, line, part in (
            ("answer = x", 1, "there is no phrase answer"),
            ("advice-x = y", 1, "there is no phrase"),
            ("wrong = x\nwrong = y", 2, "twice"),
            ("wrong", 1, "equals sign"),
            ("wrong =", 1, "equals sign"),
            ("wrong = ~h", 1, "~h stands for nothing"),
            ("answered = ~h ~n", 1, "~n stands for nothing"),
        ):
            self.assertIn((line, part), [(at, part) for at, words in phrase_faults(text) if part in words], text)

    @given(st.text(), st.sampled_from(Text))
    def test_any_text(self, text: str, kind: Text) -> None:
        """No text is more than a list of faults."""
        faults(text, kind)
        phrase_faults(text)


class FilledInTests(SynchronousTestCase):
    """What substitutions stand for."""

    def test_of_the_message(self) -> None:
        """Date, sender, subject, id, age: each as the table in docs/reports.md has it."""
        text = said("~T|~N|~h|~S\n~p2|~p3|~p4\n~p0\n~D\n~p6|~p1|~~")
        self.assertIn("a@example.org|mail.example.org|mail.example.org|An invoice\n", text)
        self.assertIn("An invoice|0123456789AB|a@example.org\n", text)
        self.assertIn("Tue, 14 Nov 2023 22:13:20 +0000", text)
        self.assertIn("Tue, 14 Nov 2023 22:15:00 +0000", text)
        self.assertIn("postmaster@example.org|1m|~", text)

    def test_subject_is_readable(self) -> None:
        """Encoded words are read, and a message without a subject has a phrase for it."""
        returned = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n =?utf-8?q?_an?=\n =?utf-8?q?_dich?=\n\nx\n"
        self.assertIn("[Grüße an dich]", said("[~S]", returned=returned))
        self.assertIn("[(without a subject)]", said("[~S]", returned=b"From: x\n\nx\n"))

    def test_excerpts(self) -> None:
        """~G, ~B and ~M repeat of the original what may go back of it."""
        body = b"".join(b"line %d\n" % number for number in range(30))
        returned = b"Subject: s\nX: y\n\n" + body
        self.assertEqual(said("~G", returned=returned).count("line"), 20)
        self.assertEqual(said("~B", returned=returned).count("line"), 30)
        self.assertIn("X: y\n\nline 0", said("~M", returned=returned))
        for complete in (True, False):
            text = said("~M~B~G", returned=returned, complete=complete)
            self.assertEqual(("line 0" in text, "X: y" in text), (complete, True))
        self.assertNotIn("line", said("~M", returned=b"Subject: s", complete=False).replace("Subject", ""))

    def test_nobody(self) -> None:
        """Where there is no postmaster, the name that every server has is named (RFC 5321 4.5.1)."""
        text = said("Ask ~p6.", postmaster="")
        self.assertIn("Ask postmaster@mail.example.org.", text)
        self.assertIn("MAILER-DAEMON@mail.example.org", str(parsed(compose(report(postmaster="")))["From"]))

    def test_long_lines_are_folded(self) -> None:
        """Lines of the author stay, those that are too long are folded with their indentation, and words stay whole."""
        text = said("  " + "word " * 40 + "\n\nshort\n" + "x" * 100)
        lines = text.split("\n")
        self.assertTrue(all(len(line) <= 76 or line == "x" * 100 for line in lines))
        self.assertTrue(lines[1].startswith("  word"))
        self.assertIn("\nshort\n", text)

    def test_kinds(self) -> None:
        """Each kind of report has its template."""
        for kind, action, copy in (
            (Text.FAILURE, Action.FAILED, False),
            (Text.POSTMASTER, Action.FAILED, True),
            (Text.DELAY, Action.DELAYED, False),
            (Text.SUCCESS, Action.DELIVERED, False),
            (Text.RELAY, Action.RELAYED, False),
            (Text.RELAY, Action.EXPANDED, False),
        ):
            fates = (Fate("b@example.net", None, action, UNREACHABLE),)
            words = wording("Subject: mine ~N\n\n~R", kind)
            letter = compose(report(fates=fates, for_postmaster=copy, wording=words))
            self.assertEqual(parsed(letter)["Subject"], "mine mail.example.org")

    def test_delivered_and_passed_on(self) -> None:
        """A report that tells of both is one of success."""
        fates = (
            Fate("b@example.net", None, Action.RELAYED, REFUSED),
            Fate("c@example.org", None, Action.DELIVERED, REFUSED),
        )
        self.assertIs(report(fates=fates).kind, Action.DELIVERED)

    def test_expanded_is_not_the_end(self) -> None:
        """Failures may still be reported of an address that stands for several (RFC 3464 2.3.3)."""
        fates = (Fate("b@example.org", None, Action.EXPANDED, REFUSED),)
        self.assertIn("You will be told only of those", " ".join(text_of(compose(report(fates=fates))).split()))


class LanguageTests(SynchronousTestCase):
    """Reports in other languages."""

    german = "From: Zustellung für Österreich\nSubject: Nachricht zurück: ~S\n\nGrüße: ~S ~R"

    def composed(self, charset: str = "utf-8", **more: object) -> tuple[str, str, str, str]:
        """Charset and language of the text, subject and name of the sender."""
        words = wording(self.german, language="de-AT", charset=charset)
        letter = compose(report(wording=words, **more))
        self.assertTrue(letter.octets.isascii())
        part = parts(letter)[0]
        message = parsed(letter)
        self.assertEqual(message.defects, [])
        name = message["From"].addresses[0].display_name
        return str(part.get_content_charset()), str(part["Content-Language"]), str(message["Subject"]), name

    def test_charset(self) -> None:
        """Text, subject and name are in the charset that is set, and the language is named."""
        for charset in ("utf-8", "iso-8859-1", "windows-1252"):
            self.assertEqual(
                self.composed(charset),
                (
                    charset,
                    "de-AT",
                    "Nachricht zurück: An invoice",
                    "Zustellung für Österreich",
                ),
            )

    def test_what_the_charset_does_not_hold(self) -> None:
        """UTF-8 takes its place where somebody has a name that it cannot hold."""
        kind, _, subject, _ = self.composed("iso-8859-1", returned="Subject: Ελλάδα\n\nx\n".encode(), complete=False)
        self.assertEqual((kind, subject), ("utf-8", "Nachricht zurück: Ελλάδα"))

    def test_long_subject(self) -> None:
        """A subject is bounded, and folded in the header."""
        letter = compose(
            report(wording=wording(self.german), returned="Subject: ü{}\n\nx\n".format("ü" * 900).encode())
        )
        self.assertLessEqual(max(map(len, letter.octets.split(b"\n"))), 100)
        self.assertLess(len(str(parsed(letter)["Subject"])), 240)

    def test_programs_read_the_same(self) -> None:
        """No template changes the part for programs (RFC 3464)."""

        def fields(one: Report) -> list[tuple[str, object]]:
            group = parts(compose(one))[1].get_payload()
            assert isinstance(group, list)
            return [item for each in group for item in each.items()]

        self.assertEqual(fields(report(wording=wording(self.german))), fields(report()))

    def test_name_that_needs_quotes(self) -> None:
        """A name with a full stop is quoted (RFC 5322 3.2.5)."""
        letter = compose(report(wording=wording("From: Dr. Mail\nSubject: x\n\n~R")))
        self.assertIn(b'From: "Dr. Mail" <postmaster@example.org>\n', letter.octets)

    def test_postmaster_outside_ascii(self) -> None:
        """An address that only SMTPUTF8 can carry does not get into a header for all."""
        letter = compose(report(postmaster="jürgen@example.org"))
        self.assertIn(b"<MAILER-DAEMON@mail.example.org>\n", letter.octets)

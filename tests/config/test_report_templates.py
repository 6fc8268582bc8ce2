"""Templates of reports in files, and the section ``[reports]``."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.report_templates import MAX_OCTETS, count_templates, wording_of
from hermes.config.rules import findings
from hermes.config.schema import Settings
from hermes.config.sections.reports import ReportsSettings
from hermes.core.report_wording import ENGLISH, Text, Wording

GERMAN = Path(__file__).parent.parent.parent / "etc" / "templates" / "de"


class TemplateFileTests(SynchronousTestCase):
    """A directory of templates."""

    def setUp(self) -> None:
        """An empty directory."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def wording(self, **files: bytes) -> Wording:
        """The words with these files."""
        for name, octets in files.items():
            Path(self.directory, f"{name}.txt").write_bytes(octets)
        return wording_of(attrs.evolve(Settings(), reports=ReportsSettings(templates=self.directory, language="x")))

    def refused(self, part: str, **files: bytes) -> None:
        """The files cannot be used; the text has this part."""
        error = self.assertRaises(ConfigError, self.wording, **files)
        self.assertIn(part, str(error))

    def test_built_in(self) -> None:
        """Without templates all is English."""
        self.assertEqual(wording_of(Settings()), ENGLISH)

    def test_some(self) -> None:
        """What is not there stays English; line ends and a mark of the order of octets are of any system."""
        found = self.wording(failure=b"\xef\xbb\xbfSubject: Nein\r\n\r\n~R\r\n", phrases="wrong = Größe:".encode())
        self.assertEqual(found.templates[Text.FAILURE].subject, "Nein")
        self.assertEqual(found.templates[Text.DELAY], ENGLISH.templates[Text.DELAY])
        self.assertEqual((found.phrase("wrong"), found.phrase("nothing")), ("Größe:", "(nothing)"))
        self.assertEqual(count_templates(self.directory), 2)

    def test_file_and_line(self) -> None:
        """Every fault of a file is told, with file and line."""
        path = os.path.join(self.directory, "delay.txt")
        self.refused(f"{path}:3: ~x stands", delay=b"Subject: x\n\n~x ~R\n~G\n")
        self.refused(f"{path}:4: ~G stands")
        self.refused(
            os.path.join(self.directory, "phrases.txt:1: there is no phrase"),
            delay=b"Subject: x\n\n~R",
            phrases=b"x = y",
        )

    def test_encoding(self) -> None:
        """Other encodings are not guessed at."""
        self.refused("delay.txt:3: this is not UTF-8", delay="Subject: x\n\nGrüße ~R".encode("latin-1"))
        self.refused("delay.txt:3: there is a character that cannot be shown", delay=b"Subject: x\n\n~R\x1b[0m")

    def test_size(self) -> None:
        """A template has a bound."""
        most = b"Subject: x\n\n~R\n" + b"x" * (MAX_OCTETS - 15)
        self.wording(delay=most)
        self.refused(f"more than {MAX_OCTETS} octets", delay=most + b"x")

    def test_no_files(self) -> None:
        """A directory without templates, or none at all, is hardly meant."""
        self.refused("there is no template here")
        os.mkdir(os.path.join(self.directory, "failure.txt"))
        self.refused("it cannot be read: Is a directory")
        self.directory = "/nonexistent"
        self.refused("the templates cannot be read: No such file")

    def test_german(self) -> None:
        """The second language that is shipped is complete and without a fault."""
        found = wording_of(attrs.evolve(Settings(), reports=ReportsSettings(templates=str(GERMAN), language="de")))
        self.assertEqual(found.phrases.keys(), ENGLISH.phrases.keys())
        for kind in Text:
            self.assertNotEqual(found.templates[kind], ENGLISH.templates[kind])
        same = [name for name, text in found.phrases.items() if text == ENGLISH.phrases[name]]
        self.assertEqual(same, ["host"])


class SectionTests(SynchronousTestCase):
    """``[reports]``."""

    def found(self, **changes: str) -> list[str]:
        """What is wrong."""
        settings = attrs.evolve(Settings(), reports=ReportsSettings(**changes))  # type: ignore[arg-type]
        return [finding.text for finding in findings(settings)]

    def test_language(self) -> None:
        """A tag of RFC 5646."""
        for tag in ("en", "de-AT", "zh-Hant-TW"):
            self.assertEqual(self.found(language=tag), [])
        for tag in ("", "deutsch!", "de\nX: y", "e"):
            self.assertIn("is no language tag", self.found(language=tag)[0])

    def test_charset(self) -> None:
        """A charset in which ASCII is ASCII."""
        for name in ("utf-8", "ISO-8859-15", "windows-1252", "koi8-r"):
            self.assertEqual(self.found(charset=name), [])
        for name in ("utf-16", "nonsense", "cp037", "a\0b", "base64"):
            self.assertIn("is no charset of mail", self.found(charset=name)[0])

"""Tests of ``[access:NAME]``: sections that may be repeated, and what their entries must be."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import catalog
from hermes.config.access_rules import MAX_TEXT_OCTETS
from hermes.config.errors import ConfigError
from hermes.config.loader import load, read
from hermes.config.schema import AccessSettings, Settings
from hermes.config.writer import set_values
from hermes.core.address_range import AddressRange
from tests.support.configuration import write_config

_OFFICE = "[access:office]\naddresses = 192.0.2.0/24\n"


class AccessTestCase(SynchronousTestCase):
    """Configurations of entries alone."""

    def refused(self, text: str) -> list[str]:
        """The problems, without the path of the file."""
        path = write_config(self, text)
        error = self.assertRaises(ConfigError, load, path)
        return [problem.describe(path).removeprefix(path) for problem in error.problems]

    def refused_once(self, text: str, *parts: str) -> None:
        """There is one problem, and it has these parts."""
        problems = self.refused(text)
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])


class SectionTests(AccessTestCase):
    """Any number of sections of one kind."""

    def test_none(self) -> None:
        """By default there is none."""
        self.assertEqual(load(write_config(self, "")).access, {})

    def test_read(self) -> None:
        """Each is read under its name, in the order of the file, with the defaults of its class."""
        text = (
            "[access:z-1]\naddresses = 192.0.2.7,\n  192.0.2.10-192.0.2.20,\n  2001:db8::/32\nrelay = yes\nservers = smtp\n"
            "[smtp]\n[access:a_2]\naddresses = 198.51.100.0/24\naction = refuse\ntext = Not you\n"
        )
        loaded = read(write_config(self, text))
        ranges = tuple(map(AddressRange.parse, ("192.0.2.7", "192.0.2.10-192.0.2.20", "2001:db8::/32")))
        self.assertEqual(list(loaded.settings.access), ["z-1", "a_2"])
        self.assertEqual(loaded.settings.access["z-1"], AccessSettings(ranges, servers=("smtp",), relay=True))
        self.assertEqual(loaded.settings.access["a_2"].text, "Not you")
        self.assertEqual(loaded.lines["access:a_2", "action"], 10)
        self.assertEqual(loaded.value(catalog.find("access:a_2.action")), "refuse")
        self.assertRaises(LookupError, loaded.value, catalog.find("access:other.action"))

    def test_names(self) -> None:
        """A name is made of small letters, digits, - and _; at most 40 of them; a section without one is explained."""
        for name in ("a", "0", "office-2_b", "a" * 40):
            self.assertEqual(list(load(write_config(self, f"[access:{name}]\naddresses = 192.0.2.7\n")).access), [name])
        for name in ("", "Office", "a" * 41, "a b", "a.b", "-a", "ä", "a:b"):
            self.refused_once(f"[access:{name}]\naddresses = 192.0.2.7\n", ":1:", "write [access:NAME]")
        self.refused_once("[access]\n", "write [access:NAME]")
        self.refused_once("[axess:office]\n", "did you mean [access:office]?")
        self.refused_once("[smtp:two]\n", "did you mean [smtp]?")

    def test_mistakes(self) -> None:
        """Mistakes are told with their lines, as in every section."""
        self.refused_once(_OFFICE + "addrs = x\n", ":3: [access:office] addrs:", "did you mean addresses?")
        self.refused_once(_OFFICE + "action = deny\n", ":3: [access:office] action:", "allow or refuse")
        self.refused_once("[access:office]\naddresses = 192.0.2.1/24\n", ":2:", "did you mean 192.0.2.0/24?")
        self.refused_once("[smtp]\nexempt = yes\n", ":2:", "it belongs to [access:NAME]")
        self.refused_once(_OFFICE + "[access:office]\n", ":3:", "began already in line 1")

    def test_catalog(self) -> None:
        """All that there is can be listed: the single sections, and the repeated ones that are there."""
        self.assertEqual([each.name for each in catalog.sections_of(Settings())], list(catalog.SECTIONS))
        settings = load(write_config(self, _OFFICE))
        self.assertIn("access:office", [each.name for each in catalog.sections_of(settings)])
        error = self.assertRaises(LookupError, catalog.find, "addresses")
        self.assertIn("access:NAME.addresses", str(error))

    def test_write(self) -> None:
        """An entry is changed in its place, and a new one is made at the end, whole or not at all."""
        path = write_config(self, _OFFICE + "# end\n")
        set_values(path, {"access:office.relay": "yes"})
        self.assertRaises(ConfigError, set_values, path, {"access:foe.action": "refuse"})
        set_values(path, {"access:foe.addresses": "198.51.100.7", "access:foe.action": "refuse"})
        self.assertEqual(
            Path(path).read_text(),
            _OFFICE + "relay = yes\n# end\n\n[access:foe]\naddresses = 198.51.100.7\naction = refuse\n",
        )


class RuleTests(AccessTestCase):
    """What an entry must be."""

    def test_nobody(self) -> None:
        """An entry without addresses would be a mistake that nobody notices."""
        self.refused_once("[access:office]\naction = refuse\n", ":1: [access:office] addresses:", "names nobody")

    def test_servers(self) -> None:
        """The servers are those that there are."""
        self.refused_once(_OFFICE + "servers = smtp, pop\n", ":3: [access:office] servers:", "did you mean pop3?")
        self.refused_once(_OFFICE + "servers = gopher\n", "there are smtp and pop3")
        load(write_config(self, _OFFICE + "servers = smtp, pop3\n"))

    def test_refused_have_no_rights(self) -> None:
        """Who may not connect cannot relay or be exempt."""
        for key in ("relay", "exempt"):
            self.refused_once(_OFFICE + f"action = refuse\n{key} = yes\n", f":4: [access:office] {key}:", "no rights")

    def test_text(self) -> None:
        """The text belongs to a refusal, and fits into a reply."""
        refuse = _OFFICE + "action = refuse\ntext = "
        self.refused_once(_OFFICE + "text = Hello\n", ":3: [access:office] text:", "action = refuse")
        load(write_config(self, refuse + "x" * MAX_TEXT_OCTETS + "\n"))
        self.refused_once(refuse + "x" * (MAX_TEXT_OCTETS + 1) + "\n", ":4: [access:office] text:", "at most")
        self.refused_once(refuse + "Grüße\n", "write ASCII")

    def test_relay(self) -> None:
        """The right to relay is one at the SMTP server, and never everybody's."""
        self.refused_once(_OFFICE + "relay = yes\nservers = pop3\n", ":3: [access:office] relay:", "smtp")
        for everybody in ("0.0.0.0/0", "::/0", "0.0.0.0-255.255.255.255", "128.0.0.0/1"):
            text = f"[access:all]\naddresses = 192.0.2.7, {everybody}\n"
            self.refused_once(text + "relay = yes\n", ":3: [access:all] relay:", "is everybody")
            load(write_config(self, text + "action = refuse\n"))

    def test_contradictions(self) -> None:
        """The same range with different consequences is an error at the later place, told once."""
        other = "[access:other]\naddresses = 198.51.100.7, 192.0.2.0-192.0.2.255\n"
        for consequence in ("action = refuse", "relay = yes", "exempt = yes"):
            text = _OFFICE + other + f"{consequence}\n"
            self.refused_once(text, ":4: [access:other] addresses:", "192.0.2.0/24 stands in [access:office] too")

    def test_no_contradictions(self) -> None:
        """The same range with the same consequences, at another server, or wider or narrower is right."""
        for other in (
            "addresses = 192.0.2.0/24\n",
            "addresses = 192.0.2.0/25\naction = refuse\n",
            "addresses = 192.0.2.0-192.0.3.7\naction = refuse\n",
        ):
            load(write_config(self, f"{_OFFICE}[access:other]\n{other}"))
        load(
            write_config(
                self,
                f"{_OFFICE}servers = smtp\n[access:other]\naddresses = 192.0.2.0/24\nservers = pop3\naction = refuse\n",
            )
        )

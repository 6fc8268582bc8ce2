"""Rules about ``[phonebook]``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.phonebook_rules import phonebook_findings
from hermes.config.schema import Settings
from hermes.config.sections.ldap import LDAPSettings
from hermes.config.sections.phonebook import PhoneBookSettings


class PhoneBookRuleTests(SynchronousTestCase):
    """What is refused, and in which words."""

    def findings(self, **settings: object) -> list[str]:
        """The texts of what is found."""
        section = PhoneBookSettings(**settings)  # type: ignore[arg-type]
        whole = Settings(phonebook=section, ldap={"sales": LDAPSettings()})
        return [finding.text for finding in phonebook_findings(whole)]

    def test_good(self) -> None:
        """The defaults, and a server with something in it."""
        self.assertEqual(self.findings(), [])
        self.assertEqual(self.findings(listen=("127.0.0.1:105",), accounts=True), [])
        self.assertEqual(self.findings(listen=("127.0.0.1:105",), directories=("sales",)), [])
        self.assertEqual(self.findings(listen=("127.0.0.1:105",), books=("people.csv", "b.LDIF", "c.vcf")), [])

    def test_bad(self) -> None:
        """A field that is none, a file that is no book, a directory that is not there, and a server without a book."""
        self.assertIn("'color' is no field", self.findings(fields=("name", "color"))[0])
        self.assertIn("'color' is no field", self.findings(local_fields=("color",))[0])
        self.assertIn("must end in .csv", self.findings(books=("people.txt",))[0])
        self.assertIn("there is no [ldap:acme]", self.findings(directories=("acme",))[0])
        self.assertIn("nothing to look up", self.findings(listen=("127.0.0.1:105",))[0])

"""What the settings of directory services must be together, and the examples of the manual."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.ldap import servers_of, terms_of
from hermes.config.errors import ConfigError
from hermes.config.loader import parse
from hermes.config.schema import Settings
from hermes.directory.ldap.entries import Place

_GOOD = "servers = ldaps://ldap.example.org\nbase = o=acme\n"

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "directory.md"


class LDAPRulesTests(SynchronousTestCase):
    """``[ldap:acme]``."""

    def settings(self, text: str) -> Settings:
        """The settings of a section with these lines."""
        return parse(
            f"[hermes]\nhostname = mail.example.org\n[ldap:acme]\n{text}".encode(), "/x/config.ini", 0o600
        ).settings

    def fault(self, text: str) -> str:
        """What is wrong."""
        return str(self.assertRaises(ConfigError, self.settings, text))

    def test_good(self) -> None:
        """These may be written."""
        for text in (
            _GOOD,
            "servers = ldap://[::1]:389, ldaps://ldap.example.org:1636\nbase = o=acme\n",
            "servers = ldap://127.0.0.1\nstarttls = no\nbase = o=acme\n",
            "profile = nds\nservers = ldaps://nds.example.org\ncontexts = /[root]\n",
            f"{_GOOD}filter = (a=b)\nlogin_attribute = uid\naddress_attributes = mail, other-1\nconnections = 64\n",
            f"{_GOOD}synonym_attributes = description, other-1\n",
            f"{_GOOD}windows_domains = EXAMPLE, ad.example.org\n",
        ):
            self.assertEqual(list(self.settings(text).ldap), ["acme"])

    def test_bad(self) -> None:
        """These may not, and what is said names the key."""
        for text, key in (
            ("base = o=acme\n", "servers"),
            ("servers = ldap.example.org\nbase = o=acme\n", "servers"),
            ("servers = http://ldap.example.org\nbase = o=acme\n", "servers"),
            ("servers = ldaps://ldap.example.org:0\nbase = o=acme\n", "servers"),
            ("servers = ldaps://ldap.example.org:99999\nbase = o=acme\n", "servers"),
            ("servers = ldaps://ldap.example.org/o=acme\nbase = o=acme\n", "servers"),
            ("servers = ldap://ldap.example.org\nstarttls = no\nbase = o=acme\n", "servers"),
            ("servers = ldaps://ldap.example.org\n", "base"),
            (f"{_GOOD}contexts = acme\n", "contexts"),
            ("profile = nds\nservers = ldaps://nds.example.org\n", "contexts"),
            ("profile = nds\nservers = ldaps://nds.example.org\ncontexts = acme\nbase = o=acme\n", "base"),
            (f"{_GOOD}bind_dn = cn=admin\n", "bind_password"),
            (f"{_GOOD}bind_password = x\n", "bind_password"),
            (f"{_GOOD}filter = a=b\n", "filter"),
            (f"{_GOOD}login_attribute = uid)(x\n", "login_attribute"),
            (f"{_GOOD}address_attributes = mail, *\n", "address_attributes"),
            (f"{_GOOD}synonym_attributes = mail, a=b\n", "synonym_attributes"),
            (f"{_GOOD}connections = 65\n", "connections"),
            (f"{_GOOD}windows_domains = EXAMPLE\\\n", "windows_domains"),
            (f"{_GOOD}windows_domains = joe@EXAMPLE\n", "windows_domains"),
            (f"{_GOOD}windows_domains = EXAMPLE/joe\n", "windows_domains"),
        ):
            self.assertIn(key, self.fault(text), text)

    def test_places(self) -> None:
        """Contexts become containers; one that is no name is told of when the source is made."""
        text = "profile = nds\nservers = ldaps://nds.example.org\ncontexts = /sales.acme: Sales.example.org, OU=eng.O=acme, {}\n"
        terms = terms_of("acme", self.settings(text.format("/[root]")).ldap["acme"])
        places = (Place("ou=sales,o=acme", True, "sales.example.org"), Place("ou=eng,o=acme", False), Place("", True))
        self.assertEqual(terms.places, places)
        error = self.assertRaises(ValueError, terms_of, "acme", self.settings(text.format("a..b")).ldap["acme"])
        self.assertIn("[ldap:acme] contexts", str(error))

    def test_authority(self) -> None:
        """An authority that cannot be read is told of."""
        section = self.settings(f"{_GOOD}authority = nothing.pem\n").ldap["acme"]
        self.assertIn("nothing.pem", str(self.assertRaises(ValueError, servers_of, "acme", section)))

    def test_overrides(self) -> None:
        """Attributes that are named take the place of the profile's."""
        more = "login_attribute = sn\naddress_attributes = a, b\nforward_attribute = f\nnames = full\nsynonym_attributes = c\n"
        terms = terms_of("acme", self.settings(_GOOD + more).ldap["acme"])
        self.assertEqual((terms.profile.login, terms.profile.forward), ("sn", "f"))
        self.assertEqual(terms.profile.addresses, (("a", ""), ("b", "")))
        self.assertEqual(terms.profile.synonyms, ("c",))
        self.assertTrue(terms.full_names)

    def test_windows_domains(self) -> None:
        """What is written, in lower case; else, in Active Directory, what stands at the end of the base (RFC 2247)."""
        base = "servers = ldaps://ldap.example.org\nbase = {}\n"
        for text, names in (
            (base.format("DC=AD,dc=Example,dc=org") + "profile = ad\n", {"ad.example.org", "ad"}),
            (base.format("ou=Staff,dc=x,ou=EU, dc=ad, dc=example,dc=org") + "profile = ad\n", {"ad.example.org", "ad"}),
            (base.format("dc=local") + "profile = ad\n", {"local"}),
            (base.format("o=acme") + "profile = ad\n", set()),
            (base.format("dc=example,dc=org"), set()),
            (
                base.format("dc=ad,dc=example,dc=org") + "profile = ad\nwindows_domains = ACME, x.org\n",
                {"acme", "x.org"},
            ),
            (base.format("o=acme") + "windows_domains = ACME\n", {"acme"}),
        ):
            self.assertEqual(terms_of("acme", self.settings(text).ldap["acme"]).windows_domains, names, text)

    def test_manual(self) -> None:
        """The three examples can be used as they stand, but for the file of the password."""
        examples = re.findall(r"(?m)^    \[ldap:acme\]\n((?:    .*\n)+)", _PAGE.read_text())
        self.assertEqual(len(examples), 3)
        for text in map(textwrap.dedent, examples):
            settings = self.settings(text.replace("file:ldap.password", "secret"))
            terms_of("acme", settings.ldap["acme"])

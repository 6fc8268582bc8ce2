"""Address books as programs export them."""

from __future__ import annotations

import csv

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.phone_book import MAX_ENTRIES, Entry, Term
from hermes.directory.accounts import AccountTable, table_of
from hermes.directory.books import READERS, read_book
from hermes.directory.books.account_book import AccountBook
from tests.support.accounts import record

CSV = """Display Name;Primary Email;Work Phone;Color
"Smith; Joe";joe@example.org;555 1234;red
Ann;ann@example.org

"""

LDIF = """version: 1
# a comment that is
 folded: yes
dn: cn=Joe Smith,o=Example
objectClass: inetOrgPerson
cn: Joe
  Smith
cn;lang-de:: Sm9lIFNtaXRow6k=
mail: joe@example.org
telephoneNumber: 555 1234
jpegPhoto:< file:///etc/passwd
description:< file:///etc/passwd

dn: cn=empty

uid: ann
mail: ann@example.org
"""

VCARDS = """BEGIN:VCARD\r
VERSION:4.0\r
N:Smith;Joe;;;\r
FN:Joe\r
 \x20Smith\r
item1.EMAIL;TYPE="work,pref":joe@example.org\r
TEL;VALUE=uri;TYPE=work:tel:555-1234\r
TEL;TYPE=FAX:555 4321\r
ORG:Example\\, Inc.;Sales\r
ADR:;;1 Road;Town;;12345;Land\r
NOTE:one\\ntwo\r
END:VCARD\r
BEGIN:VCARD
VERSION:2.1
FN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:J=C3=B6rg=
 M=C3=BCller
EMAIL:joerg@example.org
END:VCARD
"""


class BookTests(SynchronousTestCase):
    """Reading files."""

    def read(self, path: str, text: str) -> tuple[list[Entry], list[int]]:
        """The entries, and the lines that are wrong."""
        lines: list[int] = []
        return read_book(path, text, lambda number, words: lines.append(number)), lines

    def test_csv(self) -> None:
        """A table with names of other programs for its columns; rows may be short, and columns unknown."""
        entries, wrong = self.read("book.CSV", CSV)
        self.assertEqual(
            entries,
            [
                {"name": ("Smith; Joe",), "email": ("joe@example.org",), "phone": ("555 1234",)},
                {"name": ("Ann",), "email": ("ann@example.org",)},
            ],
        )
        self.assertEqual(wrong, [])

    def test_csv_wrong(self) -> None:
        """A table without a column that is known."""
        self.assertEqual(self.read("book.csv", "color,size\nred,1\n"), ([], [1]))
        self.assertEqual(self.read("book.csv", ""), ([], [1]))
        entries, wrong = self.read("book.csv", f"name\nJoe\n{'x' * (csv.field_size_limit() + 1)}\nAnn\n")
        self.assertEqual((entries, wrong), ([{"name": ("Joe",)}], [3]))

    def test_ldif(self) -> None:
        """Folded lines, base64, options of attributes; no other file is read, and a record with nothing to show is none."""
        entries, wrong = self.read("book.ldif", LDIF)
        self.assertEqual(
            entries,
            [
                {"name": ("Joe Smith", "Joe Smithé"), "email": ("joe@example.org",), "phone": ("555 1234",)},
                {"alias": ("ann",), "email": ("ann@example.org",)},
            ],
        )
        self.assertEqual(wrong, [])

    def test_ldif_wrong(self) -> None:
        """Lines that cannot be are named by their numbers, and the rest is read."""
        entries, wrong = self.read("book.ldif", "dn: x\nno colon\ncn:: %%%\ncn:: /w==\nmail: a@example.org\n")
        self.assertEqual(entries, [{"email": ("a@example.org",)}])
        self.assertEqual(wrong, [2, 3, 4])

    def test_vcard(self) -> None:
        """Folding, groups, parameters, parts, escapes, and the quoted-printable of old cards."""
        entries, wrong = self.read("book.vcf", VCARDS)
        self.assertEqual(
            entries[0],
            {
                "name": ("Joe Smith",),
                "email": ("joe@example.org",),
                "phone": ("555-1234",),
                "fax": ("555 4321",),
                "department": ("Example, Inc., Sales",),
                "address": ("1 Road, Town, 12345, Land",),
                "other": ("one two",),
            },
        )
        self.assertEqual(entries[1]["email"], ("joerg@example.org",))
        self.assertEqual(wrong, [])

    def test_vcard_wrong(self) -> None:
        """Lines outside of cards, lines without a colon, and a card without end."""
        self.assertEqual(self.read("book.vcf", "FN:Joe\n"), ([], [1]))
        self.assertEqual(self.read("book.vcf", "BEGIN:VCARD\nX-COLOR:red\nEND:VCARD\n"), ([], []))
        self.assertEqual(self.read("book.vcf", "BEGIN:VCARD\nFN Joe\nEND:VCARD\n"), ([], [2]))
        self.assertEqual(self.read("book.vcf", "BEGIN:VCARD\nFN:Joe\n"), ([], [1]))

    def test_line_ends(self) -> None:
        """Lines end in CRLF, LF or CR, and in nothing else that is in a text."""
        odd = "one\u2028two\x0cthree\x85four"
        for end in ("\r\n", "\n", "\r"):
            entries, wrong = self.read("book.ldif", f"cn: Joe{end}description: {odd}{end}{end}cn: Ann{end}")
            self.assertEqual(wrong, [])
            self.assertEqual([entry["name"] for entry in entries], [("Joe",), ("Ann",)])
            self.assertEqual(entries[0]["other"], ("one two three four",))
            entries, wrong = self.read("book.vcf", f"BEGIN:VCARD{end}FN:Joe{end}NOTE:{odd}{end}END:VCARD{end}")
            self.assertEqual((entries, wrong), ([{"name": ("Joe",), "other": ("one two three four",)}], []))

    def test_other(self) -> None:
        """A file of another kind is none, and one with too many entries is too large."""
        self.assertEqual(self.read("book.txt", "Joe"), ([], [1]))
        _, wrong = self.read("book.csv", "name\n" + "x\n" * (MAX_ENTRIES + 1))
        self.assertEqual(wrong, [1])

    @given(st.sampled_from(sorted(READERS)), st.text(max_size=200))
    def test_anything(self, suffix: str, text: str) -> None:
        """Whatever is in a file, reading it raises nothing."""
        self.read("book" + suffix, text)


class AccountBookTests(SynchronousTestCase):
    """The accounts as a book."""

    def test_accounts(self) -> None:
        """Everybody who is not disabled, by name, full name and address; and anew when the accounts change."""
        before = table_of([record("joe", "sales@example.org"), record("ann"), record("gone", disabled=True)])
        after = table_of([record("new")])
        book = AccountBook(("example.org",))

        def find(name: str, table: AccountTable = before) -> list[Entry] | None:
            return book.book(table).find([Term("alias", name)], 9)

        self.assertEqual(find("joe"), [{"alias": ("joe",), "email": ("sales@example.org",)}])
        self.assertEqual(find("ann"), [{"alias": ("ann",), "email": ("ann@example.org",)}])
        self.assertEqual(find("gone"), [])
        self.assertEqual(find("new"), [])
        self.assertEqual(find("new", after), [{"alias": ("new",), "email": ("new@example.org",)}])
        self.assertEqual(find("joe", after), [])
        self.assertIs(book.book(after), book.book(after))

"""Tests of the rules that settings must keep together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.host_names import domain_fault
from hermes.config.loader import load
from hermes.config.sections.smarthost import AUTH_NAMES
from hermes.protocols.sasl_client import MECHANISMS
from tests.support.configuration import write_config

_TLS = "[tls]\ncertificate = c.pem\nkey = k.pem\n"


class RulesTests(SynchronousTestCase):
    """Settings that do not go together."""

    def accepted(self, text: str) -> None:
        """The configuration can be loaded."""
        load(write_config(self, text))

    def refused(self, text: str, *parts: str) -> None:
        """The configuration has one problem, which holds all these parts."""
        error = self.assertRaises(ConfigError, load, write_config(self, text))
        self.assertEqual(len(error.problems), 1, str(error))
        for part in parts:
            self.assertIn(part, str(error))

    def test_postmaster(self) -> None:
        """Domains need a postmaster with an address (RFC 5321 4.5.1); without domains there is none to need."""
        self.refused("[hermes]\nhostname = a.test\ndomains = b.test\n", ":1: [hermes] postmaster:", "NAME@b.test")
        self.accepted("[hermes]\nhostname = a.test\n")
        for address in ("anna", "@b.test", "anna@", "a b@b.test", "<anna@b.test>", "anna@b@"):
            self.refused(f"[hermes]\npostmaster = {address}\n", ":2: [hermes] postmaster:", "not a mail address")

    def test_names(self) -> None:
        """Host name, domains and smart host must be domain names."""
        self.refused("[hermes]\nhostname = mail_1.test\n", ":2: [hermes] hostname:")
        self.refused("[hermes]\nhostname = 192.0.2.1\n", "is an address")
        self.refused("[hermes]\nhostname =\n", "is missing")
        self.refused("[hermes]\npostmaster = a@b.test\ndomains = b.test, c..test\n", "'c..test'")
        self.refused("[hermes]\npostmaster = a@b.test\ndomains = münchen.test\n", "xn--mnchen-3ya.test")
        self.refused("[hermes]\npostmaster = a@b.test\ndomains = b.test, ä..test\n", "not a domain name")
        self.refused("[smarthost]\nhost = smtp://relay.test\n", ":2: [smarthost] host:")
        for host in ("relay.test", "192.0.2.1", "::1", "localhost", "relay.test."):
            self.accepted(f"[smarthost]\nhost = {host}\n")

    def test_no_limit(self) -> None:
        """Where 0 means that there is no limit it may be written."""
        self.accepted("[accounts]\nnew_recipients = 0\n")
        self.refused("[smtp]\nmax_recipients = 0\n", ":2: [smtp] max_recipients:", "0 would stop everything")

    def test_summary(self) -> None:
        """The hour is one of the day's, and one address gets the letter."""
        for hour in (0, 23):
            self.accepted(f"[summary]\nhour = {hour}\n")
        self.refused("[summary]\nhour = 24\n", ":2: [summary] hour:", "from 0 to 23")
        for to in ("anna@a.test", "\u00e4nne@a.test"):
            self.accepted(f"[summary]\nto = {to}\n")
        for to in ("anna", "@a.test", "anna@a.test, bob@a.test", "Anna <anna@a.test>", "anna@a_b.test"):
            self.refused(f"[summary]\nto = {to}\n", ":2: [summary] to:", "is not a mail address")

    def test_tls_reports(self) -> None:
        """Reports about TLS want an address for questions, which can be the postmaster's when that is ASCII."""
        site = "[hermes]\nhostname = a.test\npostmaster = {}@a.test\n[tls_reports]\nsend = yes\n"
        self.accepted(site.format("anna"))
        self.refused(site.format("\u00e4nne"), "[tls_reports] contact:", "in ASCII")
        self.accepted(site.format("\u00e4nne") + "contact = anna@a.test\n")
        self.refused("[tls_reports]\nsend = yes\n", "[tls_reports] contact:")

    def test_domain_lengths(self) -> None:
        """A label has 63 octets at most, a domain 253."""
        for length in (62, 63):
            self.assertEqual(domain_fault("a" * length + ".test"), "")
        self.assertNotEqual(domain_fault("a" * 64 + ".test"), "")
        longest = ".".join(["a" * 49] * 5) + ".org"
        self.assertEqual(len(longest), 253)
        self.assertEqual(domain_fault(longest), "")
        self.assertNotEqual(domain_fault("a" + longest), "")

    def test_certificate_and_key(self) -> None:
        """Certificate and key come together."""
        self.refused("[tls]\ncertificate = c.pem\n", ":1: [tls] key:")
        self.refused("[tls]\nkey = k.pem\n", ":1: [tls] certificate:")
        self.accepted(_TLS)

    def test_tls_needs_certificate(self) -> None:
        """Listeners that need TLS need a certificate."""
        for section, key in (("smtp", "submission"), ("smtp", "submissions"), ("pop3", "listen_tls")):
            text = f"[{section}]\n{key} = *:2525\n"
            self.refused(text, f":2: [{section}] {key}:", "[tls]")
            self.accepted(text + _TLS)

    def test_submission_in_the_clear(self) -> None:
        """Submission without a certificate is possible where a login in the clear is: on loopback, when it was asked for."""
        self.accepted("[smtp]\nauth_without_tls = loopback\nsubmission = 127.0.0.1:2587, [::1]:2587\n")
        self.refused("[smtp]\nauth_without_tls = loopback\nsubmission = 127.0.0.1:2587, *:2588\n", "submission")
        self.refused("[smtp]\nauth_without_tls = never\nsubmission = 127.0.0.1:2587\n", "submission")

    def test_listeners_overlap(self) -> None:
        """One place can be listened at once only."""
        self.refused("[smtp]\nlisten = *:25, *:25\n", ":2: [smtp] listen:", "*:25 cannot stand beside *:25")
        self.refused("[smtp]\nlisten = *:110\n[pop3]\nlisten = 127.0.0.1:110\n", ":4: [pop3] listen:", "[smtp] listen")
        self.accepted("[smtp]\nlisten = 127.0.0.1:0, [::1]:0\n[pop3]\nlisten = 127.0.0.1:0\n")

    def test_private_listeners(self) -> None:
        """Manhole and LMTP are not for the network."""
        for section, key in (("manhole", "listen"), ("smtp", "lmtp")):
            for place in ("127.0.0.1:2022", "[::1]:2022", "unix:/x.sock"):
                self.accepted(f"[{section}]\n{key} = {place}\n")
            for place in ("*:2022", "192.0.2.1:2022", "0.0.0.0:2022"):
                self.refused(f"[{section}]\n{key} = {place}\n", f":2: [{section}] {key}:", "reached by others")
        self.refused("[manhole]\nlisten = systemd:manhole\n", "reached by others")
        self.accepted("[smtp]\nlmtp = systemd:lmtp\n")

    def test_open_relay(self) -> None:
        """Everybody is not a network that may relay."""
        for network in ("0.0.0.0/0", "::/0"):
            self.refused(f"[smtp]\nrelay_networks = 192.0.2.0/24, {network}\n", network, "is everybody")
        self.accepted("[smtp]\nrelay_networks = 192.0.2.0/24, 2001:db8::/32\n")

    def test_front_ends(self) -> None:
        """Everybody is no front end, and a header that nobody would send is not waited for."""
        for network in ("0.0.0.0/0", "::/0"):
            self.refused(f"[smtp]\nfront_ends = {network}\n", ":2: [smtp] front_ends:", "is everybody")
        self.refused("[smtp]\nproxy_protocol = yes\n", ":2: [smtp] proxy_protocol:", "no front ends")
        self.accepted("[smtp]\nfront_ends = 192.0.2.0/24, ::1\nproxy_protocol = yes\n")

    def test_transcripts(self) -> None:
        """Transcripts are of servers that there are."""
        self.refused("[transcripts]\nservices = smtp, imap\n", ":2: [transcripts] services:", "'imap' is not a server")
        self.refused("[transcripts]\nmax_files = 0\n", ":2: [transcripts] max_files:")
        self.accepted("[transcripts]\nservices = smtp, pop3\nnetworks = 192.0.2.0/24\naccounts = anna\n")

    def test_backups(self) -> None:
        """Backups are for domains of others, each once, and lead elsewhere."""
        own = "[hermes]\nhostname = mail.example.org\ndomains = example.org\npostmaster = a@example.org\n"
        self.accepted(f"{own}[backup:x]\ndomains = example.net, sub.example.org\nhost = mx.example.net\nport = 2525\n")
        self.accepted(f"{own}[backup:x]\ndomains = example.net\nhost = 192.0.2.1\nwhen_down = defer\n")
        self.refused(f"{own}[backup:x]\nhost = mx.example.net\n", ":5: [backup:x] domains:", "names no domain")
        self.refused(f"{own}[backup:x]\ndomains = Example.org\n", ":6: [backup:x] domains:", "our own")
        self.refused(f"{own}[backup:x]\ndomains = a b\n", ":6: [backup:x] domains:", "not a domain")
        self.refused(f"{own}[backup:x]\ndomains = a.test\nhost = a b\n", ":7: [backup:x] host:", "not a domain")
        self.refused(f"{own}[backup:x]\ndomains = a.test\nhost = mail.example.org\n", ":7: [backup:x] host:", "itself")
        self.refused(f"{own}[backup:x]\ndomains = a.test\nport = 0\n", ":7: [backup:x] port:", "port")
        twice = "[backup:x]\ndomains = a.test\n[backup:y]\ndomains = A.test\nverify = no\n"
        self.refused(own + twice, ":8: [backup:y] domains:", "[backup:x]")

    def test_certificates(self) -> None:
        """Certificates by name are whole, have names that are some, and stand beside one for everybody."""
        default, pair = "[tls]\ncertificate = a\nkey = b\n", "certificate = a\nkey = b\n"
        self.accepted(f"{default}[certificate:x]\n{pair}names = mx.example.org, *.example.net\n[certificate:y]\n{pair}")
        self.refused(f"{default}[certificate:x]\ncertificate = a\n", ":4: [certificate:x] key:", "missing")
        self.refused(f"{default}[certificate:x]\nkey = a\n", ":4: [certificate:x] certificate:", "missing")
        self.refused(f"[certificate:x]\n{pair}", ":2: [certificate:x] certificate:", "[tls]")
        for name in ("*", "a b", "*.*.example.org", "192.0.2.1"):
            self.refused(f"{default}[certificate:x]\n{pair}names = {name}\n", ":7: [certificate:x] names:")
        self.refused(
            f"{default}[certificate:x]\n{pair}names = b\u00fccher.example\n",
            ":7: [certificate:x] names:",
            "xn--bcher-kva",
        )
        twice = f"[certificate:x]\n{pair}names = a.test\n[certificate:y]\n{pair}names = A.test\n"
        self.refused(default + twice, ":11: [certificate:y] names:", "[certificate:x]")

    def test_front_ends_of_pop3(self) -> None:
        """The same at POP3, where front ends have no way but the PROXY protocol."""
        self.refused("[pop3]\nfront_ends = ::/0\nproxy_protocol = yes\n", ":2: [pop3] front_ends:", "is everybody")
        self.refused("[pop3]\nproxy_protocol = yes\n", ":2: [pop3] proxy_protocol:", "no front ends")
        self.refused("[pop3]\nfront_ends = ::1\n", ":2: [pop3] front_ends:", "proxy_protocol = yes")
        self.accepted("[pop3]\nfront_ends = 192.0.2.0/24, ::1\nproxy_protocol = yes\n")

    def test_smarthost_login(self) -> None:
        """User name and password come together."""
        self.refused("[smarthost]\nhost = r.test\nusername = u\n", ":1: [smarthost] password:")
        self.refused("[smarthost]\nhost = r.test\npassword = p\n", ":1: [smarthost] username:")

    def test_smarthost_password_in_the_clear(self) -> None:
        """A password needs TLS unless the smart host is this machine."""
        text = "[smarthost]\nhost = {}\ntls = none\nusername = u\npassword = p\n"
        self.refused(text.format("relay.test"), ":3: [smarthost] tls:", "in the clear")
        self.refused(text.format("192.0.2.1"), "in the clear")
        for host in ("127.0.0.1", "::1", "localhost", "Localhost."):
            self.accepted(text.format(host))
        self.accepted("[smarthost]\nhost = r.test\ntls = none\n")

    NAMED = "[smarthost:one]\nhost = r.test\n"

    def test_named_smarthosts(self) -> None:
        """Every named smart host has a server; ports, logins and limits are looked at as in [smarthost]."""
        self.accepted(self.NAMED)
        self.refused("[smarthost:one]\nsenders = a.test\n", ":1: [smarthost:one] host: is missing")
        self.refused("[smarthost:default]\nhost = r.test\n", "choose another")
        self.refused(self.NAMED + "port = 0\n", ":3: [smarthost:one] port: 0 is not a port")
        self.refused(self.NAMED + "connections = 0\n", ":3: [smarthost:one] connections: 0 would stop everything")
        self.refused(self.NAMED + "username = u\n", ":1: [smarthost:one] password:")
        self.refused(self.NAMED + "tls = none\nusername = u\npassword = p\n", "in the clear")
        self.accepted(self.NAMED + "messages_per_minute = 0\nmessages_per_day = 2000\n")

    def test_smarthost_patterns(self) -> None:
        """Senders and recipients are patterns; accounts are names."""
        self.refused(self.NAMED + "senders = joe@\n", ":3: [smarthost:one] senders: 'joe@' names no addresses")
        self.refused(self.NAMED + "recipients = a*b.test\n", ":3: [smarthost:one] recipients:")
        self.accepted(self.NAMED + "senders = <>, joe@a.test\nrecipients = *.a.test\naccounts = joe, printer\n")
        self.refused("[smarthost]\nsenders = a.test\n", "belongs to [smarthost:NAME]")

    def test_one_smarthost_for_all(self) -> None:
        """Two that ask for nothing contradict one another, unless one is a fall-back; it may stand first."""
        two = "[smarthost:two]\nhost = s.test\n"
        self.refused(self.NAMED + two, ":3: [smarthost:two] senders: [smarthost:one] is for all mail already")
        self.refused("[smarthost]\nhost = t.test\n" + self.NAMED, "[smarthost] is for all mail already")
        self.accepted(self.NAMED + two + "recipients = a.test\n")
        self.accepted(self.NAMED + two + "fallback = one\n")
        self.accepted("[smarthost]\nhost = t.test\nfallback = one, two\n" + self.NAMED + two)

    def test_fallbacks(self) -> None:
        """A fall-back is another smart host that there is."""
        self.refused(self.NAMED + "fallback = on\n", ":3: [smarthost:one] fallback:", "did you mean one?")
        self.refused(self.NAMED + "fallback = backup\n", "write [smarthost:backup]")
        self.refused(self.NAMED + "fallback = one\n", "cannot take its own place")
        self.accepted("[smarthost]\nhost = t.test\n" + self.NAMED + "senders = a.test\nfallback = default\n")

    def test_pins(self) -> None:
        """A pin is a SHA-256 in digits or base64, and needs TLS."""
        digits, colons = "ab" * 32, ":".join(["AB"] * 32)
        base64 = "A" * 43 + "="
        self.accepted(self.NAMED + f"pin = {digits}, {colons}, {base64}\n")
        for pin in ("ab" * 31, "xy" * 32, "A" * 44, "A" * 42 + "==", "sha256"):
            self.refused(self.NAMED + f"pin = {pin}\n", ":3: [smarthost:one] pin:", "is not a SHA-256")
        self.refused(self.NAMED + f"tls = none\npin = {digits}\n", "without TLS there is no certificate")

    def test_one_sender(self) -> None:
        """A sender to be put in is an address."""
        for key in ("envelope_sender", "from_address"):
            self.accepted(self.NAMED + f"{key} = scan+1@example.net\n")
            for address in ("scan", "@example.net", "a b@example.net", "Scan <scan@example.net>", "scan@"):
                self.refused(
                    self.NAMED + f"{key} = {address}\n", f":3: [smarthost:one] {key}:", "is not a mail address"
                )

    def test_pop_before_smtp(self) -> None:
        """A POP3 server has a name and a port, and gets a password, with TLS unless it is this machine."""
        login = self.NAMED + "username = u\npassword = p\npop_host = pop.test\n"
        self.accepted(login)
        self.accepted(login + "tls = none\n")
        self.refused(self.NAMED + "pop_host = pop.test\n", ":3: [smarthost:one] pop_host: POP before SMTP is a login")
        self.refused(login + "pop_tls = none\n", ":6: [smarthost:one] pop_tls:", "in the clear")
        self.accepted(login.replace("pop.test", "localhost") + "pop_tls = none\n")
        self.refused(login.replace("pop.test", "pop_test"), ":5: [smarthost:one] pop_host:")
        self.refused(login + "pop_port = 65536\n", "is not a port")

    def test_smarthost_auth(self) -> None:
        """The ways of logging in are known by name, in any case of letters."""
        self.refused("[smarthost]\nauth = plain, cram-md4\n", ":2: [smarthost] auth:", "did you mean cram-md5?")
        self.refused("[smarthost]\nauth = gssapi-krb\n", ":2: [smarthost] auth:", "there are scram-sha-256-plus, ")
        self.accepted("[smarthost]\nauth = SCRAM-SHA-256, plain, Login, xoauth2\n")

    def test_auth_names(self) -> None:
        """What may be named is what there is."""
        self.assertEqual({name.upper() for name in AUTH_NAMES}, set(MECHANISMS))

    def test_nameservers(self) -> None:
        """Name servers are addresses, with a port or without."""
        for place in ("192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53"):
            self.accepted(f"[direct]\nnameservers = {place}\n")
        for place in ("dns.test", "192.0.2.53:0", "*:53", "unix:/x"):
            self.refused(f"[direct]\nnameservers = {place}\n", ":2: [direct] nameservers:", repr(place))

    def test_one_resolver(self) -> None:
        """Name servers stand in [dns] or in [direct]; in both only when they are the same."""
        self.accepted("[dns]\nnameservers = 192.0.2.53\n[direct]\nnameservers = 192.0.2.53\n")
        self.refused("[dns]\nnameservers = dns.test\n", ":2: [dns] nameservers:", "'dns.test'")
        self.refused(
            "[dns]\nnameservers = 192.0.2.53\n[direct]\nnameservers = 192.0.2.54\n",
            ":4: [direct] nameservers:",
            "remove one of the two",
        )

    def test_cost_of_dns(self) -> None:
        """What DNS may cost has a least and a most."""
        for key, least, most, unit in (("timeout", 1, 60, "s"), ("lookups", 1, 500, ""), ("cache", 1, 200_000, "")):
            for value in (least, most):
                self.accepted(f"[dns]\n{key} = {value}{unit}\n")
            self.refused(f"[dns]\n{key} = {most + 1}{unit}\n", f":2: [dns] {key}:", str(most))
            self.refused(f"[dns]\n{key} = {least - 1}{unit}\n", f":2: [dns] {key}:")

    def test_sender_checks(self) -> None:
        """Each test has one of four words."""
        self.accepted("[sender_checks]\nno_reverse_name = score 2\nown_hello = refuse\nunknown_sender = off\n")
        self.refused("[sender_checks]\nown_hello = reject\n", ":2: [sender_checks] own_hello:", "score 3")

    def test_greylist(self) -> None:
        """The window is wider than the delay; whom reverse DNS is to spare needs its test."""
        self.accepted("[greylist]\nenabled = yes\nspare_confirmed = yes\n")
        self.refused("[greylist]\ndelay = 5m\nwindow = 5m\n", ":3: [greylist] window:", "more than delay")
        off = "[sender_checks]\nno_reverse_name = off\nunconfirmed_reverse_name = off\n"
        self.refused(f"[greylist]\nenabled = yes\nspare_confirmed = yes\n{off}", ":3: [greylist] spare_confirmed:")

    def test_least_numbers(self) -> None:
        """Counts and times are at least 1, ports go from 1 to 65535, sizes of mailboxes may be 0."""
        self.refused("[smtp]\nmax_recipients = 0\n", ":2: [smtp] max_recipients:", "1 or more")
        self.refused("[smtp]\ntimeout = 0\n", ":2: [smtp] timeout:")
        self.refused("[smtp]\nmax_size = 0\n", ":2: [smtp] max_size:")
        self.refused("[queue]\nretry =\n", ":2: [queue] retry:")
        self.refused("[queue]\nretry = 5m, 0\n", ":2: [queue] retry:")
        self.accepted("[smtp]\nmax_recipients = 1\ntimeout = 1s\nmax_size = 1\n[queue]\nretry = 1s\ndelay_warning =\n")
        self.accepted("[mailbox]\nquota = 0\n")
        for port in (1, 65535):
            self.accepted(f"[smarthost]\nport = {port}\n")
        for port in (0, 65536):
            self.refused(f"[smarthost]\nport = {port}\n", ":2: [smarthost] port:", "1 to 65535")

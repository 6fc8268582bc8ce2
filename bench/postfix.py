"""A private Postfix: its own configuration, queue and ports, durability as shipped."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.process import free_ports, is_listening, put_away, wait_until

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = bench.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
virtual_mailbox_domains = example.org
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = {maps}
virtual_mailbox_limit = 0
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
message_size_limit = 52428800
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
relayhost = [127.0.0.1]:{sink}
smtp_host_lookup = native
disable_dns_lookups = yes
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix in ``root``; relays other domains to the port ``sink``. Needs root, as Postfix does."""

    name = "postfix"

    def __init__(self, root: Path, sink: int, accounts: Sequence[str] = ()) -> None:
        """Without accounts all mail is that of "user"."""
        self._root = root
        (self.port,) = free_ports(1)
        self.maildir = self.mailbox("user")
        user = pwd.getpwnam("postfix")
        for part in ("etc", "queue", "data", "mail"):
            (root / part).mkdir(parents=True)
        for part in ("data", "mail"):
            os.chown(root / part, user.pw_uid, user.pw_gid)
        maps = "static:user/"
        if accounts:
            maps = f"texthash:{root}/etc/mailboxes"
            lines = [f"{account}@example.org {account}/\n" for account in ("user", *accounts)]
            (root / "etc" / "mailboxes").write_text("".join(lines))
        ids = {"uid": user.pw_uid, "gid": user.pw_gid}
        values = {"root": root, "port": self.port, "sink": sink, "maps": maps, **ids}
        (root / "etc" / "main.cf").write_text(MAIN_CF.format(**values))
        (root / "etc" / "master.cf").write_text(MASTER_CF.format(**values))
        grp.getgrnam("postdrop")

    def start(self) -> None:
        """Start it and wait for its greeting."""
        # Postfix refuses to work below a directory that only root may enter.
        for directory in (self._root, *self._root.parents):
            if directory.stat().st_mode & 0o005 != 0o005 and directory.is_relative_to("/tmp"):
                directory.chmod(0o755)
        self._command("start")
        wait_until("Postfix", lambda: is_listening(self.port))

    def stop(self) -> None:
        """Stop it."""
        self._command("stop")

    def mailbox(self, account: str) -> Path:
        """The maildir of an account."""
        return self._root / "mail" / account

    def clear(self, account: str = "user") -> None:
        """Empty a mailbox."""
        for part in ("new", "cur"):
            put_away(self.mailbox(account) / part, self._root / "away")

    def version(self) -> str:
        """Name and version."""
        value = subprocess.run(
            ["/usr/sbin/postconf", "-d", "-h", "mail_version"], capture_output=True, text=True, check=True
        )
        return f"Postfix {value.stdout.strip()}"

    def _command(self, word: str) -> None:
        subprocess.run(["/usr/sbin/postfix", "-c", self._root / "etc", word], check=True, capture_output=True)

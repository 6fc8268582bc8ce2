"""A Dovecot of its own for one test: a foreign POP3 server with maildirs, on free ports, in a temporary directory."""

from __future__ import annotations

import getpass
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.ports import free_port

CONFIG = """\
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
{users}
first_valid_uid = 1
mail_location = maildir:{root}/mail/%u
passdb {{
  driver = passwd-file
  args = {root}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/mail/%u
}}
service anvil {{
  chroot =
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service stats {{
  chroot =
}}
{extra}
"""


class Dovecot:
    """Accounts by name, each with the password ``secret``."""

    password = "secret"

    def __init__(self, certificate: str | Path, key: str | Path, *users: str, extra: str = "") -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="dovecot-")
        self.root = Path(self._directory.name)
        self.pop3, self.pop3s = free_port(), free_port()
        for name in ("run", "state", "mail"):
            (self.root / name).mkdir()
        (self.root / "users").write_text("".join(f"{user}:{{PLAIN}}{self.password}\n" for user in users))
        self._numbers = 0
        for user in users:
            for part in ("cur", "new", "tmp"):
                (self.root / "mail" / user / part).mkdir(parents=True)
        # It serves no mailbox of root's.
        mail = pwd.getpwnam("mail")
        uid, gid = (mail.pw_uid, mail.pw_gid) if os.getuid() == 0 else (os.getuid(), os.getgid())
        for path in [self.root / "mail", *(self.root / "mail").rglob("*")]:
            os.chown(path, uid, gid)
        config = self.root / "dovecot.conf"
        config.write_text(
            CONFIG.format(
                root=self.root,
                certificate=certificate,
                key=key,
                users="" if os.getuid() == 0 else _only(getpass.getuser(), grp.getgrgid(os.getgid()).gr_name),
                uid=uid,
                gid=gid,
                pop3=self.pop3,
                pop3s=self.pop3s,
                extra=extra,
            )
        )
        self.root.chmod(0o755)  # for the users that Dovecot is served by when it is started by root
        program = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin") or "dovecot"
        self._process = subprocess.Popen([program, "-F", "-c", str(config)])
        deadline = time.monotonic() + 120
        while not _answers(self.pop3):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"Dovecot did not start:\n{self.log()}")
            time.sleep(0.05)

    def put(self, user: str, message: bytes) -> None:
        """Put a message into somebody's mailbox."""
        self._numbers += 1
        path = self.root / "mail" / user / "new" / f"{1_800_000_000 + self._numbers}.M{self._numbers}.example"
        path.write_bytes(message)

    def messages(self, user: str) -> list[Path]:
        """The messages in a mailbox."""
        mailbox = self.root / "mail" / user
        return sorted([*(mailbox / "new").iterdir(), *(mailbox / "cur").iterdir()])

    def log(self) -> str:
        """What it has said."""
        path = self.root / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """Stop it and leave nothing behind."""
        self._process.terminate()
        self._process.wait(30)
        self._directory.cleanup()


def _only(user: str, group: str) -> str:
    """Who is not root does all as himself."""
    return f"default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(100).startswith(b"+OK")
    except OSError:
        return False

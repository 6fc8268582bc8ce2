"""A config.ini in a temporary directory, for tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

#: The least that a server with a domain needs.
MINIMAL = """\
[hermes]
hostname = mail.example.org
domains = example.org
postmaster = anna@example.org
"""


def write_config(case: SynchronousTestCase, text: str, mode: int = 0o600, name: str = "config.ini") -> str:
    """Write a configuration into a new directory; its path, short enough for UNIX sockets beside it."""
    directory = tempfile.mkdtemp(prefix="hermes-")
    case.addCleanup(shutil.rmtree, directory)
    path = Path(directory) / name
    path.write_bytes(text.encode())
    os.chmod(path, mode)
    return str(path)

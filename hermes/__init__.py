"""Hermes: a complete mail server for an organisation, in one process on Twisted."""

import os

__version__ = "0.1.0"

# OpenSSL reads its configuration once, when it is loaded, and there alone can the session tickets of TLS 1.3 be turned off:
# pyOpenSSL has no call for it. This module comes before whatever loads OpenSSL. Who has named a file of their own keeps it.
os.environ.setdefault("OPENSSL_CONF", os.path.join(os.path.dirname(os.path.abspath(__file__)), "openssl.cnf"))

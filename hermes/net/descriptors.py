"""
How many files and connections the process may have open.

Most systems give a process 1024 to begin with, and let it ask for more. The gate lets in what the settings say: it must not
be the system that says no first, to the files of messages that are coming in.
"""

from __future__ import annotations

import resource


def allow(wanted: int) -> int:
    """Ask the system for so many descriptors, unless it allows more already; how many it allows then."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if now == unlimited or now >= wanted:
        return wanted if now == unlimited else now
    granted = wanted if most == unlimited else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, most))
    return granted

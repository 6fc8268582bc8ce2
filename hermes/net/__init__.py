"""Everything that touches a socket or a thread on behalf of the services."""

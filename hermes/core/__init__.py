"""Values and pure rules: no Twisted, no sockets, no threads, no clock."""

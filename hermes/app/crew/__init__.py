"""
Several processes: a parent, its nursery, and workers that are each a whole Hermes (``docs/workers.md``).

The parent opens sockets, starts and replaces workers, and answers for what must be one: control socket, manhole, signals,
systemd. The nursery is a small process that can do nothing but fork: it was forked itself before the parent's reactor ran, so
that what it makes shares the memory of all code and knows nothing of the parent's connections. A worker talks to the parent
over a link.
"""

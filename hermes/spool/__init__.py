"""The durable queue store and the message trace."""

"""Makes ``twistd hermes`` appear."""

from twisted.application.service import ServiceMaker

hermes = ServiceMaker("Hermes", "hermes.tap", "A complete mail server for an organisation.", "hermes")

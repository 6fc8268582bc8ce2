"""The tests of Hermes; they mirror the package."""

from hypothesis import HealthCheck, settings

# Whether generating examples is slow says something about the machine, and about what else runs on it.
settings.register_profile("hermes", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hermes")

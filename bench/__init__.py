"""Measures Hermes beside Postfix, in turn within one run, and checks that every message arrived."""

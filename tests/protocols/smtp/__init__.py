"""Tests of the SMTP server's engine and its grammar."""

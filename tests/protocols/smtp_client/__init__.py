"""Tests of the SMTP client engine and its grammar."""

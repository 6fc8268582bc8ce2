"""Accounts in a directory service, asked by LDAP."""

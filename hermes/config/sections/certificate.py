"""Certificates for further names: the sections ``[certificate:NAME]``, and what they must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault
from hermes.config.setting import setting


@attrs.frozen
class CertificateSettings:
    """
    A certificate for those who ask for another name than that of [tls] (SNI). One section for each, any number.

    Who asks for no name, or for one that stands nowhere, gets the certificate of [tls].
    """

    certificate: str = setting("path", "", "PEM file with the certificate and its chain.")
    key: str = setting("path", "", "PEM file with the private key.")
    names: tuple[str, ...] = setting(
        "words",
        (),
        "The names for which it is used; *.example.org stands for one label. Empty: those in the certificate.",
    )


def certificate_findings(certificates: Mapping[str, CertificateSettings], *, has_default: bool) -> Iterator[Finding]:
    """All rules about ``[certificate:NAME]`` that are broken."""
    first: dict[str, str] = {}
    for label, each in certificates.items():
        section = f"certificate:{label}"
        for key in ("certificate", "key"):
            if not getattr(each, key):
                yield Finding(((section, key),), "is missing: write the PEM file's path")
        if not has_default:
            text = "those who name no host need a certificate too: set certificate and key in [tls]"
            yield Finding(((section, "certificate"), ("tls", "certificate")), text)
        for name in (name.lower() for name in each.names):
            if fault := domain_fault(name.removeprefix("*.")):
                yield Finding(((section, "names"),), fault)
            elif first.setdefault(name, section) != section:
                about = ((section, "names"), (first[name], "names"))
                yield Finding(about, f"{name} stands in [{first[name]}] too: remove it from one of the two")

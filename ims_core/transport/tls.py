"""TLS of the lab: which certificate a listener shows, whom a client trusts (RFC 3261 §26.3.1, RFC 5922)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ims_core.errors import TransportError
from ims_core.transport.lab_ca import LabCa

__all__ = ["TlsPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicy:
    """Certificates come from *authority*. *names* lists, by element name, the host names that its certificate covers
    beside the address it listens on. With *is_mutual* servers ask clients for a certificate of the lab, and clients
    show theirs. A host without the authority's key has its certificate, *trusted*, to check servers with."""

    authority: LabCa | None = None
    is_mutual: bool = False
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trusted: Path | None = None
    _contexts: dict[tuple[str, ...], ssl.SSLContext] = field(default_factory=dict, repr=False)

    def server_context(self, element: str, host: str) -> ssl.SSLContext:
        """Raises TransportError without an authority."""
        hosts = (host, *self.names.get(element, ()))
        key = ("server", element, *hosts)
        if key not in self._contexts:
            self._contexts[key] = self._sure().server_context(
                element, hosts, requires_client_certificate=self.is_mutual
            )
        return self._contexts[key]

    def client_context(self, element: str) -> ssl.SSLContext:
        """Raises TransportError without an authority."""
        shown = element if self.is_mutual else None
        key = ("client", shown or "")
        if key not in self._contexts:
            if self.authority is None and self.trusted is not None:
                self._contexts[key] = _trusting(self.trusted)
            else:
                self._contexts[key] = self._sure().client_context(shown)
        return self._contexts[key]

    def _sure(self) -> LabCa:
        if self.authority is None:
            raise TransportError("TLS needs the lab's certificates: start with --tls")
        return self.authority


def _trusting(certificate: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(certificate))
    except OSError as error:  # ssl.SSLError is one too
        raise TransportError(f"{certificate} is no certificate to trust: {error.strerror or error}") from error

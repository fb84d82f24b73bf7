"""Root and branches of the one error hierarchy (the leaves live beside the codecs that raise them)."""

from __future__ import annotations

__all__ = [
    "ConnectTimeout",
    "ConnectionLost",
    "LocalProtocolError",
    "ProfileError",
    "ProtocolError",
    "RemoteProtocolError",
    "SimulatorError",
    "TransportError",
]

_SHOWN_OCTETS = (
    64  # octets of the offending input quoted in an error text: enough to recognise it, too few to flood a log
)


class SimulatorError(Exception):
    """Anything that this project raises on purpose."""


class ProtocolError(SimulatorError):
    """A standard was broken. *spec* names the clause, such as ``RFC 3261 §20.16``."""

    def __init__(self, message: str, *, spec: str) -> None:
        super().__init__(f"{message} ({spec})")
        self.spec = spec


class LocalProtocolError(ProtocolError):
    """Broken by our own caller: a bug in this repository."""


class RemoteProtocolError(ProtocolError):
    """Broken by the peer. *raw* holds the octets that were refused, shortened in the text."""

    def __init__(self, message: str, *, spec: str, raw: bytes = b"") -> None:
        shown = f": {raw[:_SHOWN_OCTETS]!r}" if raw else ""
        super().__init__(f"{message}{shown}", spec=spec)
        self.raw = raw


class TransportError(SimulatorError):
    """The link below a protocol failed."""


class ConnectTimeout(TransportError):
    """A connection was not established in time, or was refused."""


class ConnectionLost(TransportError):
    """An established connection ended while it was needed."""


class ProfileError(SimulatorError):
    """A profile, network or scenario file is wrong. The text starts with file:line:column."""

    def __init__(self, message: str, *, file: str, line: int | None = None, column: int | None = None) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}")
        self.file, self.line, self.column = file, line, column

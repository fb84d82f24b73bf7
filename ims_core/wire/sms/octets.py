"""Bounded reading of the octets of short message protocol elements, and the one error that their parsers raise."""

from __future__ import annotations

from ims_core.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["OctetReader", "SmsParseError", "octets_of"]


class SmsParseError(RemoteProtocolError):
    """Octets that are no valid TP, RP or SM link element."""


class OctetReader:
    """Cursor over *octets*; every step beyond the end raises SmsParseError that names *spec*."""

    __slots__ = ("_octets", "_position", "_spec")

    def __init__(self, octets: bytes, *, spec: str) -> None:
        self._octets = octets
        self._position = 0
        self._spec = spec

    @property
    def remaining(self) -> int:
        return len(self._octets) - self._position

    def octet(self, what: str) -> int:
        if self._position >= len(self._octets):
            raise self.error(f"{what} is missing")
        self._position += 1
        return self._octets[self._position - 1]

    def take(self, count: int, what: str) -> bytes:
        if count > self.remaining:
            raise self.error(f"{what} needs {count} octets, {self.remaining} are left")
        self._position += count
        return self._octets[self._position - count : self._position]

    def rest(self) -> bytes:
        taken = self._octets[self._position :]
        self._position = len(self._octets)
        return taken

    def expect_end(self, after: str) -> None:
        if self.remaining:
            raise self.error(f"{self.remaining} octets after {after}")

    def error(self, message: str) -> SmsParseError:
        return SmsParseError(message, spec=self._spec, raw=self._octets)


def octets_of(*values: int) -> bytes:
    """One octet each. Raises LocalProtocolError if a value does not fit."""
    try:
        return bytes(values)
    except ValueError as error:
        raise LocalProtocolError(f"{values} does not fit single octets", spec="TS 23.040 §9.1") from error

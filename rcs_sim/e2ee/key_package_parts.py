"""An encoded KeyPackage apart from its credential, for who keeps many: a device publishes a dozen with one chain of
certificates, which is most of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["KeyPackageParts"]


@dataclass(frozen=True, slots=True)
class KeyPackageParts:
    """*rest* is what is left of the octets without *credential*, which stood at *credential_at*: its octets, in pieces
    of which others may be made too."""

    rest: bytes = field(repr=False)
    credential: Sequence[bytes] = field(repr=False)
    credential_at: int

    @classmethod
    def of(cls, octets: bytes, credential: Sequence[bytes]) -> KeyPackageParts:
        """*octets* may have an MLSMessage around the KeyPackage. They stay in one piece if *credential* is not in
        them."""
        whole = b"".join(credential)
        at = octets.find(whole)
        if at < 0:
            return cls(octets, (), 0)
        return cls(octets[:at] + octets[at + len(whole) :], credential, at)

    @property
    def octets(self) -> bytes:
        """What it was made of."""
        at = self.credential_at
        return b"".join((self.rest[:at], *self.credential, self.rest[at:]))

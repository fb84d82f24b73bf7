"""Which certificates are revoked, and where that counts (RCC.16 digest §2.6).

The serial numbers that the own carrier lists count for every certificate of every chain. Those that another carrier
lists count under its own roots only (choice): no carrier revokes what is another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from rcs_sim.e2ee.certificate import Certificate, certificate_number

__all__ = ["RevokedCertificates"]


@dataclass(frozen=True, slots=True)
class RevokedCertificates:
    """Contents of serial numbers without leading zeros: *everywhere*, and *under* the roots of a key service, by the
    number of that."""

    everywhere: frozenset[bytes] = frozenset()
    under: frozenset[tuple[int, bytes]] = frozenset()

    @classmethod
    def of(cls, serials: Iterable[bytes], others: Mapping[int, Iterable[bytes]] | None = None) -> Self:
        """*serials* of the own carrier, *others* by the number of their key service."""
        listed = (others or {}).items()
        under = frozenset((kds, certificate_number(each)) for kds, found in listed for each in found)
        return cls(frozenset(map(certificate_number, serials)), under)

    def has(self, certificate: Certificate, kds: int | None) -> bool:
        """Whether *certificate* is revoked; *kds* is whose root its chain leads to, None if to none."""
        number = certificate_number(certificate.serial)
        return number in self.everywhere or (kds is not None and (kds, number) in self.under)

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.under)

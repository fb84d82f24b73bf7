"""Original dialog identifiers: how an S-CSCF knows a request that comes back from an application server
(TS 24.229 §5.4.3.4)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from ims_core.service_profile import SessionCase

__all__ = ["OriginalDialog", "OriginalDialogs"]

_MAC_OCTETS: Final = 6
_LETTERS: Final = {
    SessionCase.ORIGINATING: "o",
    SessionCase.TERMINATING: "t",
    SessionCase.TERMINATING_UNREGISTERED: "u",
}
_CASES: Final = {letter: case for case, letter in _LETTERS.items()}
_PREFIX: Final = "odi-"


@dataclass(frozen=True, slots=True)
class OriginalDialog:
    """The served user (by number), the session case, and the place of the next criterion to look at."""

    user: int
    case: SessionCase
    next_place: int


class OriginalDialogs:
    """Makes and reads the identifiers. They carry their meaning and a signature, so nothing is kept for them, and
    they are good as long as the S-CSCF runs."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, user: int, case: SessionCase, next_place: int) -> str:
        """User part of the Route that leads back."""
        meaning = f"{_LETTERS[case]}{next_place:x}-{user:x}"
        return f"{_PREFIX}{meaning}-{self._mac(meaning)}"

    def decode(self, text: str) -> OriginalDialog | None:
        """None for what this S-CSCF did not make."""
        if not text.startswith(_PREFIX) or len(text) > 64:
            return None
        meaning, _, mac = text[len(_PREFIX) :].rpartition("-")
        expected = self._mac(meaning).encode()
        if not hmac.compare_digest(expected, mac.encode("utf-8", "replace")):
            return None
        place, _, user = meaning[1:].partition("-")
        return OriginalDialog(int(user, 16), _CASES[meaning[0]], int(place, 16))

    def _mac(self, meaning: str) -> str:
        octets = meaning.encode("utf-8", "surrogateescape")
        return hashlib.blake2s(octets, key=self._key, digest_size=_MAC_OCTETS).hexdigest()

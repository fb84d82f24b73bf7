"""Why the legacy scheme does not seal or open (digest RCC.16 §14.12)."""

from __future__ import annotations

from enum import StrEnum

from ims_core.errors import RemoteProtocolError

__all__ = ["SPEC", "LegacyRefusal", "LegacyRefused"]

SPEC = "RCC.16 digest §14.12"


class LegacyRefusal(StrEnum):
    """What is wrong."""

    UNREADABLE = "not a body of the legacy scheme"
    BAD_BUNDLE = "a bundle that cannot be used"
    NO_BUNDLE = "no session, and no bundle to begin one"
    UNKNOWN_KEYS = "begun with keys that are not held"
    NO_SESSION = "no session"
    NOT_AUTHENTIC = "not authentic in any session"
    REPLAYED = "opened before"
    TOO_FAR = "too many messages are missing before it"


class LegacyRefused(RemoteProtocolError):
    """Nothing was sealed, or nothing was opened; no key has moved."""

    def __init__(self, refusal: LegacyRefusal, detail: str = "", *, raw: bytes = b"") -> None:
        super().__init__(f"{refusal}: {detail}" if detail else str(refusal), spec=SPEC, raw=raw)
        self.refusal = refusal

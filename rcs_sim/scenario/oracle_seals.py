"""Whether octets under a lock are those of a cipher, and of the scheme that the lock names."""

from __future__ import annotations

from collections.abc import Mapping

from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.legacy.body import LEGACY_CONTENT_TYPE
from rcs_sim.scenario.oracle_encodings import looks_random, without_mls_head

__all__ = ["NO_CIPHER", "SEALED_AS", "is_no_cipher", "scheme_of"]

NO_CIPHER = "octets that no cipher has made"
SEALED_AS: Mapping[str, str] = {"mls": str(MlsContentType.MESSAGE), "legacy": LEGACY_CONTENT_TYPE}
"""By scheme, the media type of what it seals."""

_SCHEMES = {media_type: scheme for scheme, media_type in SEALED_AS.items()}
_JUDGED_OCTETS, _STRIDE = (
    64,
    16,
)  # fewer octets say nothing; of every window that begins so far apart half must be random


def scheme_of(media_type: str) -> str:
    """``mls`` or ``legacy``; "" for a content of neither."""
    return _SCHEMES.get(media_type, "")


def is_no_cipher(media_type: str, octets: bytes) -> bool:
    """Whether *octets* are said to be sealed and are too regular for it: a text that was turned round or masked, or
    nothing but zeros."""
    if not scheme_of(media_type):
        return False
    sealed = without_mls_head(octets)
    windows = range(0, len(sealed) - _JUDGED_OCTETS + 1, _STRIDE)
    random = sum(looks_random(sealed, start + _JUDGED_OCTETS // 2) for start in windows)
    return 2 * random < len(windows)

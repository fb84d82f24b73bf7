"""psk_secret: pre-shared keys on their way into the key schedule (RFC 9420 §8.4)."""

from __future__ import annotations

from collections.abc import Sequence

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import encode_u16
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.psk_id import PreSharedKeyID

__all__ = ["derive_psk_secret"]

_MAX_PSKS = 0xFFFF


def derive_psk_secret(suite: CipherSuite, psks: Sequence[tuple[PreSharedKeyID, Secret]]) -> Secret:
    """psk_secret of the keys of a Commit or Welcome in their order; of none, it is all zero."""
    count = len(psks)
    if count > _MAX_PSKS:
        raise LocalProtocolError(f"{count} pre-shared keys are too many", spec="RFC 9420 §8.4")
    zero = psk_secret = suite.zero_secret()
    for index, (psk_id, psk) in enumerate(psks):
        label = psk_id.encode() + encode_u16(index) + encode_u16(count)
        extracted = suite.extract(zero, psk)
        psk_input = suite.expand_with_label(extracted, "derived psk", label, suite.hash_octets)
        psk_secret = suite.extract(psk_input, psk_secret)
    return psk_secret

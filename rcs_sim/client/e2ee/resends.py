"""Which earlier message one replaces that was sealed again (RCC.16 §7.2.3, §10.3; digest §4.5).

Original-Message-ID stands outside of the seal, where any server may write it: it is a claim. The resent component of
the authenticated data is the sender's own word: where it can be read, it decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rcs_sim.e2ee.authenticated_data import ABSENT_RESENT, ResentProof

__all__ = ["Replaced", "replaced_by"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """*message_id* is "" where none is replaced; *is_proven*: the sender says so, not the network. *remark* is for the
    trace."""

    message_id: str = ""
    is_proven: bool = False
    remark: str = ""


def replaced_by(resent: bytes, claimed: str, known: Iterable[str]) -> Replaced:
    """*resent* is the component of a message that was opened, *claimed* what its header says, "" without one; *known*
    are the ids of what its sender has sent, this message among them or not."""
    if resent == ABSENT_RESENT:
        return Replaced(claimed)
    proof = ResentProof.of(resent)
    if proof is None:
        return Replaced(claimed, remark=f"a resent component of {len(resent)} octets that is not understood")
    found = next((each for each in (claimed, *known) if each and proof.names(each)), "")
    if found:
        return Replaced(found, is_proven=True)
    return Replaced(remark=f"a resent component for another message than {claimed or 'any that came'}")

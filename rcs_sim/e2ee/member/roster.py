"""Whose leaves are in a group: certified numbers against the participants of the conversation (RCC.16 §6.1, A.4.1).

What is done about a difference is this simulator's rule (choice): nothing is sealed while there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import IdentityProvider

__all__ = ["NamesOnly", "Roster", "certified_number", "roster_of"]


def certified_number(leaf: LeafNode) -> str:
    """Bare digits of the number that a leaf certifies. Raises MlsValidationError (RCC-NUMBER) without one."""
    number = msisdn_of(leaf)
    if not number:
        raise MlsValidationError("RCC-NUMBER", "a leaf certifies no number", spec="RCC.16 A.4.1")
    return number


@dataclass(frozen=True, slots=True)
class Roster:
    """Number of each leaf. A leaf that certifies none counts as a ghost."""

    leaves: Mapping[LeafIndex, str]

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(self.leaves.values())

    def leaves_of(self, number: str) -> tuple[LeafIndex, ...]:
        """The devices of a participant."""
        return tuple(leaf for leaf, each in self.leaves.items() if each == number)

    def ghosts(self, participants: Iterable[str]) -> frozenset[str]:
        """Certified numbers of nobody who takes part."""
        return self.numbers - frozenset(participants)

    def missing(self, participants: Iterable[str]) -> frozenset[str]:
        """Participants without a leaf."""
        return frozenset(participants) - self.numbers


def roster_of(tree: RatchetTree) -> Roster:
    """The roster of an epoch."""
    return Roster({index: msisdn_of(leaf) for index, leaf in tree.members()})


class NamesOnly:
    """An identity provider for states that were verified when they were taken, or of which only the GroupContext is
    wanted: names are compared, and no certificate is judged again."""

    __slots__ = ("_trust",)

    def __init__(self, trust: IdentityProvider) -> None:
        self._trust = trust

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        """Accepts."""

    def identity_of(self, credential: Credential) -> bytes:
        """That of the trust below."""
        return self._trust.identity_of(credential)

    def is_successor(self, before: Credential, after: Credential) -> bool:
        """That of the trust below."""
        return self._trust.is_successor(before, after)

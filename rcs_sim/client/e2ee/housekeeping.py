"""Leaves of the own user's devices that are gone: taken out, so that no group is sealed to a handset that was reset or
given away for as long as it lives (digest RCC.16 §10.10, §14.10; choice).

Which devices there are is what the own directory serves. Another device of the user that lives is served, and stays;
one answer of a directory in trouble takes nobody out: who is missing in two of them, a day apart, is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from rcs_sim.client.e2ee.claims import ClaimFailed, Claims
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.requests import Requests
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.e2ee.credential_identity import certificate_of, msisdn_of
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.operations import PendingOperation
from rcs_sim.e2ee.participant_key import leaf_subject
from rcs_sim.mls.identifiers import LeafIndex

__all__ = ["Housekeeping"]

PAUSE_S = 20 * 3600.0  # less than the day between two uploads of key packages, which it goes with (choice)


class Housekeeping:
    """Of one phone."""

    __slots__ = ("_absent", "_claims", "_context", "_healing", "_next_at", "_requests")

    def __init__(self, context: E2eeContext, requests: Requests, healing: Healing, claims: Claims) -> None:
        self._context, self._requests, self._healing, self._claims = context, requests, healing, claims
        self._next_at = 0.0
        self._absent: frozenset[bytes] = frozenset()

    def tidy(self) -> None:
        """Once a day, and only where there are further devices of the own user: asks which of them there still are."""
        context = self._context
        now = context.messenger.alarms.now()
        threads = [each for each in context.threads.values() if self._has_further(each)]
        if threads and now >= self._next_at:
            self._next_at = now + PAUSE_S
            context.errands.create_task(self._ask(threads), name="claim of the own devices")

    def _has_further(self, thread: EncryptedThread) -> bool:
        return thread.is_encrypted and bool(_further(thread))

    async def _ask(self, threads: Sequence[EncryptedThread]) -> None:
        try:
            live = await self._claims.own_clients()
        except ClaimFailed:
            return  # tomorrow
        served = frozenset(leaf_subject(client_id) for client_id in live)
        absent = frozenset(subject for each in threads for subject in _further(each).values()) - served
        gone, self._absent = absent & self._absent, absent
        for thread in threads:
            self._take_out(thread, [leaf for leaf, subject in _further(thread).items() if subject in gone])

    def _take_out(self, thread: EncryptedThread, leaves: Sequence[LeafIndex]) -> None:
        if leaves and thread.is_encrypted:
            self._context.note(thread, "device gone", f"{len(leaves)} of ours")
            self._requests.submit(thread, partial(_removal, leaves), self._healing.watch(thread))


def _further(thread: EncryptedThread) -> dict[LeafIndex, bytes]:
    """Leaves of the own number beside our own, and the subjects of their certificates."""
    group = thread.engine.group
    if group is None:
        return {}
    own, number = group.group.own_leaf, group.own_number
    leaves = ((at, leaf) for at, leaf in group.group.tree.members() if at != own and msisdn_of(leaf) == number)
    found = ((at, certificate_of(leaf)) for at, leaf in leaves)
    return {at: certificate.subject for at, certificate in found if certificate is not None}


def _removal(gone: Iterable[LeafIndex], engine: EncryptedConversation, control_id: str, now_s: int) -> PendingOperation:
    return engine.control.remove_devices(gone, control_id, now_s)

"""What the user is told about who can read: another key of the peer, another device of the own number (RCC.16 §5.5,
digest RCC.16 §9, §14.10)."""

from __future__ import annotations

from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.e2ee.credential_identity import client_id_of, msisdn_of, participant_spki_of

__all__ = ["KeyWatch"]


class KeyWatch:
    """Of one phone."""

    __slots__ = ("_context", "_own_devices")

    def __init__(self, context: E2eeContext) -> None:
        self._context = context
        self._own_devices: set[str] = set()

    def look(self, thread: EncryptedThread) -> None:
        """The group may have changed."""
        group = thread.engine.group
        if group is None:
            return
        leaves = [leaf for index, leaf in group.group.tree.members() if index != group.group.own_leaf]
        theirs = [each for each in leaves if msisdn_of(each) == thread.peer_number]
        self._peer(thread, frozenset(map(participant_spki_of, theirs)))
        own = {client_id_of(each) for each in leaves if msisdn_of(each) == self._context.own_number}
        if own - self._own_devices:  # somebody has enrolled under the own number: its owner knows whether he did
            self._own_devices |= own
            self._tell(thread, "new device of yours")

    def _peer(self, thread: EncryptedThread, keys: frozenset[bytes]) -> None:
        """A group that the peer is not in, as one that was born ended, tells nothing of his keys."""
        if not keys:
            return
        before, thread.participant_keys = thread.participant_keys, keys
        if before and not keys <= before:
            self._tell(thread, "security code changed")

    def _tell(self, thread: EncryptedThread, text: str) -> None:
        conversation = thread.conversation
        self._context.messenger.display.show(
            Shown.TOMBSTONE, conversation.peer, conversation_id=conversation.id, text=text
        )

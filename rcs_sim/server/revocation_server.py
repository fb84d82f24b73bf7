"""Revocation at the server that holds the message (digest §5.4, §19.7): removed, or too late."""

from __future__ import annotations

from collections.abc import Mapping

from ims_core.store.record_table import StoreError
from ims_core.wire.sip.message import Request
from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.device_fork import DeviceFork
from rcs_sim.server.duplicate_filter import MessageKey, Sighting
from rcs_sim.server.mailbox import HeldMessage, HeldState
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.server_notices import ServerNotices

__all__ = ["RevocationServer"]


class RevocationServer:
    """Decides revoke requests for messages to our users. Only who sent a message can revoke it.

    *pending* are the messages whose sender has no answer yet."""

    __slots__ = ("_context", "_forward", "_notices", "_pending")

    def __init__(
        self,
        context: PartContext,
        forward: StoreAndForward,
        notices: ServerNotices,
        pending: Mapping[MessageKey, DeviceFork],
    ) -> None:
        self._context = context
        self._forward = forward
        self._notices = notices
        self._pending = pending

    def decide(self, request: Request, key: MessageKey, now: float) -> None:
        """*request* is the MESSAGE with the revocation, answered already; *key* names the message to remove.

        While a copy is on its way to a device, or to the SMSC, nothing is said: its answer decides."""
        sender, message_id, owner = key
        fork = self._pending.get(key)
        held = self._context.mailboxes.find(owner, sender, message_id)
        box = self._context.mailboxes.get(owner)
        if held is not None and held.state is HeldState.INTERWORKING:
            held.revocations.append(lambda then: self.decide(request, key, then))
        elif fork is not None:
            fork.revocations.append(lambda then: self.decide(request, key, then))
        elif held is None or box is None or held.state is not HeldState.WAITING:
            self._decide_unheld(request, key, held, now)
        elif held.is_delivered:
            self._answer(request, key, False, "a device has it", now)
        elif box.is_in_flight(held):
            held.revocations.append(lambda then: self.decide(request, key, then))
        else:
            self._forward.withdraw(held, lambda error, then: self._withdrawn(request, key, error, then))

    def _decide_unheld(self, request: Request, key: MessageKey, held: HeldMessage | None, now: float) -> None:
        """Not in the store: delivered or never seen; or removed (or being removed) by an earlier revoke request, whose
        repetition gets the same answer."""
        if held is not None and held.state is HeldState.REVOKING:
            self._answer(request, key, True, "being removed already", now)
        elif self._context.seen.get(key, now) is Sighting.REVOKED:
            self._answer(request, key, True, "removed before", now)
        else:
            self._answer(request, key, False, "not in the store", now)

    def _withdrawn(self, request: Request, key: MessageKey, error: StoreError | None, now: float) -> None:
        if error is not None:
            self._answer(request, key, False, str(error), now)
            return
        self._context.seen.put(key, Sighting.REVOKED, now)
        self._answer(request, key, True, "removed from the store", now)

    def _answer(self, request: Request, key: MessageKey, is_revoked: bool, why: str, now: float) -> None:
        outcome = "message revoked" if is_revoked else "revocation failed"
        self._context.outbox.note(outcome, why, key[1], request.text("Conversation-ID"), user=key[2])
        self._notices.answer_revocation(request, key[1], is_revoked, now)

"""Where nobody arbitrates: how a device that has come off is brought in again (digest RCC.16 §10.1, §14.4; choice).

The Welcome of an era is for all devices of both users, and not each of them gets it: of a session one device may be the
only one to know. Who has it gives it again to who asks, as it was; a new era is made where that has not helped, or
where commits have followed it.
"""

from __future__ import annotations

from collections.abc import Callable

from rcs_sim.client.e2ee.context import TURN_S, E2eeContext
from rcs_sim.client.e2ee.control_channel import ControlAnswer, ControlRequest, NoAnswer
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.thread import EncryptedThread, KeptWelcome
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.wire.cpim import ANONYMOUS_URI

__all__ = ["BringingIn"]


class BringingIn:
    """Of one phone."""

    __slots__ = ("_context", "_healing")

    def __init__(self, context: E2eeContext, healing: Healing) -> None:
        self._context, self._healing = context, healing

    def gives_again(self, thread: EncryptedThread, about: str, then: Callable[[], None] = lambda: None) -> bool:
        """Sends the Welcome of the present state once more, for who asks *about* a message that was not read, or has
        made a group that lost. Once for each id, and no more often than the peer has devices in the group. *then*
        is called when it was taken, or was not. Returns whether it does."""
        kept, group = self._kept(thread), thread.engine.group
        if kept is None or group is None or about in kept.given_for:
            return False
        if len(kept.given_for) >= len(group.roster.leaves_of(thread.peer_number)):
            return False
        kept.given_for.add(about)
        self._give(thread, kept, then)
        return True

    def gives_at_last(self, thread: EncryptedThread) -> None:
        """The same for who still asks when nothing else is left to be done for him, whatever he asks about: it changes
        nothing for those who are in, so that it is bounded in time alone (choice)."""
        kept = self._kept(thread)
        if kept is not None and thread.asked.take(self._context.passed_s()):
            self._give(thread, kept, lambda: None)

    def _kept(self, thread: EncryptedThread) -> KeptWelcome | None:
        kept = None if self._context.is_arbitrated(thread) else thread.welcome
        return kept if kept is not None and kept.state == thread.engine.identifier else None

    def _give(self, thread: EncryptedThread, kept: KeptWelcome, then: Callable[[], None]) -> None:
        """In the session that the peer has opened last, which is that of who asks: under another id, because his server
        drops what one of his devices had. From and To say whose it is, as of a focus."""
        context = self._context
        own, peer = f"tel:+{context.own_number}", f"tel:+{thread.peer_number}"
        request = ControlRequest(
            control_id=context.new_id(),
            body=kept.body,
            content_type=MlsContentType.SERVER,
            headers=kept.headers,
            sender=peer if kept.is_of_peer else ANONYMOUS_URI,
            recipient=own if kept.is_of_peer else ANONYMOUS_URI,
        )
        context.note(thread, "Welcome given again", "", request.control_id)

        def delivered(answer: ControlAnswer) -> None:
            if isinstance(answer, NoAnswer):
                context.note(thread, "not delivered", "", request.control_id)
            then()

        context.channel.send(thread.conversation, request, delivered, is_for_peer=True)

    def in_turn(self, thread: EncryptedThread, why: str) -> None:
        """A new era. All devices of a user are told. Where nobody arbitrates, who has sent what was not read goes
        first, and the others one after the other, while nothing has come of it."""
        context, state = self._context, thread.engine.identifier
        if context.is_arbitrated(thread) or not context.has_siblings(thread):
            self._healing.advance_era(thread, why)
            return

        def is_needed() -> bool:
            return thread.engine.identifier == state

        self._after(2 * (TURN_S + context.turn_s(thread)), is_needed, thread, why)  # an era comes by the peer

    def _after(self, pause_s: float, is_needed: Callable[[], bool], thread: EncryptedThread, why: str) -> None:
        def turn(_now: float) -> None:
            if is_needed():
                self._healing.advance_era(thread, why, is_needed=is_needed)

        alarms = self._context.messenger.alarms
        alarms.new(turn).set(alarms.now() + pause_s)

    def lost_to_us(self, thread: EncryptedThread, control_id: str) -> None:
        """Somebody has made a group that loses against ours: he is given ours."""
        if not self.gives_again(thread, control_id) and thread.is_encrypted:
            self.in_turn(thread, "a peer is in a group that lost")

"""Network fallback of a text for an RCS user whose devices do not take it: the terminating network ends the RCS leg and
sends it as SMS, so that the sender's phone has nothing to take back (digest §8.1, §8.4).

The digest gives the mechanism and its sign (`+g.gsma.rcs.msgfallback`), not its moment: a network that stores waits for
`interworking_after_s`, one that stores nothing sends at once (choice).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import Uri
from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.mailbox import HeldMessage, HeldState
from rcs_sim.server.pager_content import ContentRefused, PagerContent, read_pager
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.served_users import asserted_identity

__all__ = ["NetworkFallback"]


class NetworkFallback:
    """The `FallbackWay` of a network with that policy. What is encrypted, too long or no text stays RCS."""

    __slots__ = ("_context", "_forward", "_interworking", "_queue", "is_over")

    def __init__(self, context: PartContext, forward: StoreAndForward, interworking: Interworking) -> None:
        self._context = context
        self._forward = forward
        self._interworking = interworking
        self._queue: deque[tuple[float, HeldMessage]] = deque()  # the wait is the same for all: in order of arrival
        self.is_over = False

    def replaces(
        self, template: Request, content: PagerContent, sender: Uri, then: Callable[[bool, float], None], now: float
    ) -> bool:
        """Takes a message that would be refused, because this network stores nothing. False if it cannot."""
        return self._interworking.submit(template, content, sender, then, now)

    def watch(self, held: HeldMessage, now: float) -> None:
        """A message was stored that no device has taken."""
        self._wait(max(now, held.stored_at + self._context.config.interworking_after_s), held)

    def _wait(self, until: float, held: HeldMessage) -> None:
        self._queue.append((until, held))
        if len(self._queue) == 1:
            self._context.deadlines.arm(until, self)

    def expired(self, now: float) -> None:
        queue = self._queue
        while queue and (queue[0][0] <= now or queue[0][1].state is HeldState.GONE):
            self._fall_back(queue.popleft()[1], now)
        if queue:
            self._context.deadlines.arm(queue[0][0], self)

    def _fall_back(self, held: HeldMessage, now: float) -> None:
        """Unless a device has it. While a copy is on its way its answer is waited for."""
        box = self._context.mailboxes.get(held.owner)
        if box is None or held.state is not HeldState.WAITING or held.is_delivered:
            return
        if box.is_in_flight(held):
            held.revocations.append(lambda then: self._fall_back(held, then))
            return
        later = (each for each in box.held.values() if each.order > held.order and each.sender == held.sender)
        if any(each.recalls(held.message_id) for each in later):
            return  # its author wants nobody to read it
        if self._submit(held, now):
            held.state = HeldState.INTERWORKING

    def _submit(self, held: HeldMessage, now: float) -> bool:
        request, content = held.request, _content_of(held.request)
        sender = asserted_identity(request)
        if content is None or sender is None:
            return False

        def submitted(is_accepted: bool, then: float) -> None:
            if held.state is not HeldState.INTERWORKING:
                return
            self._forward.end_interworking(held, is_accepted, then)
            if not is_accepted:
                self._wait(then + self._context.config.interworking_after_s, held)

        return self._interworking.submit(request, content, sender, submitted, now)


def _content_of(request: Request) -> PagerContent | None:
    try:
        return read_pager(request)
    except ContentRefused:
        return None

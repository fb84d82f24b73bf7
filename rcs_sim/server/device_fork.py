"""A MESSAGE for one of our users: a copy per device, one answer to the sender, the rest into the store (§15.5)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from ims_core.store.record_table import StoreError
from ims_core.wire.sip.message import Response
from rcs_sim.server.caller_preferences import rules_out
from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.device_copy import send_copy
from rcs_sim.server.device_offer import DeviceOffer, OfferState
from rcs_sim.server.device_registry import Device
from rcs_sim.server.duplicate_filter import Sighting
from rcs_sim.server.mailbox import HeldMessage
from rcs_sim.server.messaging_actions import Exchange, Respond
from rcs_sim.server.part_context import IncomingMessage, PartContext
from rcs_sim.server.relayed_request import copied_headers

__all__ = ["DeviceFork", "ForkEnd"]

_STORE_FULL = "the message store of the recipient is full"
_NO_STORE = "the recipient is not registered, and this network stores no messages"
_STORE_BROKEN = "the message store is out of order"
_UNAVAILABLE, _OVERLOADED = 480, 503


class ForkEnd(Enum):
    """How the sender was answered."""

    TAKEN = auto()  # 200: a device has it
    STORED = auto()  # 202
    REFUSED = auto()


class DeviceFork:
    """One MESSAGE on its way to all devices of its recipient; lives until the sender is answered, and then as the
    keeper of the copies that are still on their way.

    *exchanges* are all requests that wait for its end: none if the server itself made the message, several if the
    sender repeats it while the first is pending."""

    __slots__ = (
        "_context",
        "_ended",
        "_forward",
        "_held",
        "_message",
        "_offers",
        "_refusals",
        "_waiting",
        "exchanges",
        "revocations",
    )

    def __init__(
        self,
        context: PartContext,
        forward: StoreAndForward,
        message: IncomingMessage,
        exchange: Exchange | None,
        ended: Callable[[DeviceFork, ForkEnd, float], None],
    ) -> None:
        self._context = context
        self._forward = forward
        self._message = message
        self._ended: Callable[[DeviceFork, ForkEnd, float], None] | None = ended
        self._offers: list[DeviceOffer] = []
        self._waiting: dict[str, Device] = {}  # devices that are to find a copy in the store
        self._refusals: list[tuple[int, Response | None]] = []
        self._held: HeldMessage | None = None
        self.exchanges = [] if exchange is None else [exchange]
        self.revocations: list[Callable[[float], None]] = []

    @property
    def message(self) -> IncomingMessage:
        return self._message

    def start(self, devices: list[Device], away: list[Device], route: str, now: float) -> None:
        """Offers the message to the registered *devices*; those *away* get theirs from the store."""
        message, owner = self._message, self._message.user.key
        stores = self._context.config.has_store_and_forward and message.may_be_stored
        self._refusals += [(_UNAVAILABLE, None) for device in devices if rules_out(message.template, device)]
        devices = [device for device in devices if not rules_out(message.template, device)]
        for device in devices:
            if stores and self._forward.has_backlog(owner, device.instance):
                self._waiting[device.instance] = device  # F02: behind what waits already
            else:
                self._offers.append(DeviceOffer(self, device, now))
        if stores:
            later = [device for device in away if not rules_out(message.template, device)]
            self._waiting.update((device.instance, device) for device in later)
        for offer in self._offers:
            send_copy(self._context, offer, message.template, message.user.identity, route, now)
        if not self._offers:
            self._conclude(now)

    def store(self, now: float) -> None:
        """Without trying any device."""
        self._conclude(now)

    def interworked(self, now: float) -> None:
        """It left as short message."""
        self._note("message interworked", "no RCS device is known, or none is there")
        self._end(ForkEnd.STORED, 202, "", now)

    # -- outcomes of the copies --------------------------------------------------------------------------------------

    def taken(self, offer: DeviceOffer, now: float) -> None:
        self._waiting.pop(offer.instance, None)
        if self._held is not None:
            self._forward.taken(self._held, offer, now)
        elif self._ended is not None:
            self._keep_for_others(now)

    def absent(self, offer: DeviceOffer, status: int, now: float) -> None:
        self._waiting[offer.instance] = offer.device
        if self._held is not None:
            self._forward.absent(self._held, offer, status, now)
        elif self._ended is not None and all(other.is_over for other in self._offers):
            self._conclude(now)

    def refused(self, offer: DeviceOffer, status: int, response: Response | None, now: float) -> None:
        self._refusals.append((status, response))
        if self._held is not None:
            self._forward.refused(self._held, offer.device, status, now)
        elif self._ended is not None and all(other.is_over for other in self._offers):
            self._conclude(now)

    def settled(self, offer: DeviceOffer, now: float) -> None:
        if self._held is not None:
            self._forward.settled(self._held, offer, now)

    # -- what becomes of the message ---------------------------------------------------------------------------------

    def _keep_for_others(self, now: float) -> None:
        """One device has it: the others keep their copy in the store until their 200."""
        outstanding = [offer.instance for offer in self._offers if not offer.is_over]
        awaited = frozenset((*self._waiting, *outstanding))
        config = self._context.config
        if not awaited or not config.has_store_and_forward or not self._message.may_be_stored:
            self._end(ForkEnd.TAKEN, 200, "", now)
        elif not self._forward.make_room(self._message):
            self._note("copies not kept", _STORE_FULL)
            self._end(ForkEnd.TAKEN, 200, "", now)
        else:
            self._held = self._forward.keep(self._message, awaited, now, self._copies_kept)
            for offer in self._offers:
                if not offer.is_over:
                    self._forward.is_offered(self._held, offer)

    def _copies_kept(self, error: StoreError | None, now: float) -> None:
        self._note("copies kept" if error is None else "copies not kept", "for devices that have not answered yet")
        self._end(ForkEnd.TAKEN, 200, "", now)
        self._wake_waiting(now)

    def _conclude(self, now: float) -> None:
        """No device took it, and none will at present."""
        if self._refusals and not self._waiting:
            self._relay_refusal(now)
        elif not self._context.config.has_store_and_forward or not self._message.may_be_stored:
            self._refuse_absent(now)
        elif not self._forward.make_room(self._message):
            self._note("message refused", _STORE_FULL)
            self._end(ForkEnd.REFUSED, _UNAVAILABLE, _STORE_FULL, now)
        else:
            self._held = self._forward.keep(self._message, frozenset(), now, self._kept)
            for offer in self._offers:
                if offer.state is OfferState.LATE:
                    self._held.late_offers.add(offer)
                if not offer.came_back:
                    self._forward.absent(self._held, offer, offer.status, now)

    def _refuse_absent(self, now: float) -> None:
        """No device is there, and nothing is stored: what the network does not send as SMS is its sender's again."""

        def submitted(is_accepted: bool, then: float) -> None:
            if is_accepted:
                self.interworked(then)
            else:
                self._end(ForkEnd.REFUSED, _UNAVAILABLE, _NO_STORE, then)

        message, fallback = self._message, self._context.ways.fallback
        if fallback is None or not fallback.replaces(message.template, message.content, message.sender, submitted, now):
            self._end(ForkEnd.REFUSED, _UNAVAILABLE, _NO_STORE, now)

    def _kept(self, error: StoreError | None, now: float) -> None:
        if error is not None:
            self._held = None
            self._end(ForkEnd.REFUSED, _OVERLOADED, _STORE_BROKEN, now)
            return
        self._note("message stored", "no device of the recipient took it" if self._offers else "no device registered")
        self._end(ForkEnd.STORED, 202, "", now)
        self._wake_waiting(now)

    def _wake_waiting(self, now: float) -> None:
        """Devices that were not offered it, or came back meanwhile, are served from the store."""
        offered = {offer.instance for offer in self._offers if not offer.came_back}
        fresh = [instance for instance in self._waiting if instance not in offered]
        if fresh:
            self._forward.wake(self._message.user.key, fresh, now)

    def _relay_refusal(self, now: float) -> None:
        """The best of the refusals (RFC 3261 §16.7 step 6): 6xx first, then the lowest class."""
        status, response = min(self._refusals, key=lambda refusal: (refusal[0] < 600, refusal[0]))
        headers = () if response is None else copied_headers(response)
        reason = None if response is None else response.reason
        for exchange in self.exchanges:
            self._context.outbox.add(Respond(exchange, status, headers, reason))
        self._finish(ForkEnd.REFUSED, now)

    def _end(self, end: ForkEnd, status: int, why: str, now: float) -> None:
        for exchange in self.exchanges:
            if not why:
                self._context.outbox.respond(exchange, status)
            elif status == _OVERLOADED:
                retry = (("Retry-After", str(self._context.config.retry_after_s)),)
                self._context.refuse(exchange, status, why, retry)
            else:
                self._context.refuse(exchange, status, why)
        self._finish(end, now)

    def _finish(self, end: ForkEnd, now: float) -> None:
        self.exchanges.clear()
        ended, self._ended = self._ended, None
        if end is not ForkEnd.REFUSED and self._message.message_id:
            self._context.seen.put(self._message.key, Sighting.ACCEPTED, now)
        if ended is not None:
            ended(self, end, now)
        revocations, self.revocations = self.revocations, []
        for decide in revocations:
            decide(now)

    def _note(self, summary: str, reason: str) -> None:
        message = self._message
        self._context.outbox.note(
            summary, reason, message.message_id or None, message.conversation_id, user=message.user.key
        )

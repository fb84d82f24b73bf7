"""Store and forward: what no device has taken is kept, and handed out one by one in order of arrival (digest §19.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable

from ims_core.store.deferred_messages import DEFERRED_MESSAGES, DELIVERY_CURSORS, DeferredMessage, DeliveryCursor
from ims_core.store.record_table import StoreError
from ims_core.wire.sip.message import Response
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.server.caller_preferences import rules_out
from rcs_sim.server.device_copy import send_copy
from rcs_sim.server.device_offer import DeviceOffer, OfferState
from rcs_sim.server.device_registry import Device
from rcs_sim.server.duplicate_filter import Sighting
from rcs_sim.server.mailbox import DeviceQueue, HeldMessage, HeldState, Mailbox
from rcs_sim.server.messaging_actions import Forget, Persist, Timed
from rcs_sim.server.mls_backlog import outdated_by
from rcs_sim.server.pager_content import ContentKind, ContentRefused, PagerContent, read_pager
from rcs_sim.server.part_context import IncomingMessage, PartContext
from rcs_sim.server.server_notices import ServerNotices
from rcs_sim.wire.imdn import ImdnKind, ImdnStatus

__all__ = ["Kept", "StoreAndForward"]

_SECONDS_PER_DAY = 86400.0
_RULED_OUT = "the sender's preferences rule it out"
_LONGEST_PAUSE_S = 1800.0  # between two offers to a device that is registered and does not take it (choice)
_DOUBLINGS = 6
_MIN_COMPACTED = 1000  # messages: below this, those that are gone may stay in the queue of expiries

Kept = Callable[[StoreError | None, float], None]
"""Told when a message is safe, or that it could not be stored."""


class StoreAndForward:
    """The mailboxes of this server at work."""

    __slots__ = ("_context", "_expiry", "_notices")

    def __init__(self, context: PartContext, notices: ServerNotices) -> None:
        self._context = context
        self._notices = notices
        self._expiry = _Expiry(self, context)

    # -- storing -----------------------------------------------------------------------------------------------------

    def load(self, messages: Iterable[DeferredMessage], cursors: Iterable[DeliveryCursor], now: float) -> None:
        """Takes over what the store has kept from the last run."""
        loaded, unreadable = self._context.mailboxes.load(messages, cursors)
        for held in sorted(loaded, key=lambda held: held.expires_at):
            self._context.seen.put((held.sender, held.message_id, held.owner), Sighting.ACCEPTED, now)
            self._expiry.add(held)
            self._watch(held, now)
        for record in unreadable:
            self._context.outbox.note("stored message dropped", "it cannot be read", user=record.owner)
            self._context.outbox.add(Forget(DEFERRED_MESSAGES, DEFERRED_MESSAGES.key(record)))

    def resumption(self) -> Timed:
        """A deadline at which everything that waits is handed out, as far as its devices are registered."""
        return _Resumption(self, self._context)

    def has_backlog(self, owner: str, instance: str) -> bool:
        """Whether something waits for that device already, so that what is new waits behind it (F02)."""
        return self._context.mailboxes.has_backlog(owner, instance)

    def make_room(self, message: IncomingMessage) -> bool:
        """Whether *message* may be stored; copies that some device has give way to it."""
        mailboxes, owner, octets = self._context.mailboxes, message.user.key, len(message.template.body)
        while not mailboxes.room_for(owner, message.is_limited, octets):
            spare = mailboxes.spare(owner)
            if spare is None:
                return False
            self._remove(spare, "the mailbox is full and some device has it")
        return True

    def keep(self, message: IncomingMessage, instances: frozenset[str], now: float, then: Kept) -> HeldMessage:
        """Stores *message* for the named devices (none named: for any). Only after `make_room`."""
        context = self._context
        self._drop_older_eras(message, instances)
        held = context.mailboxes.add(
            message.user.key,
            message.template,
            sender=message.sender_key,
            message_id=message.message_id,
            now=now,
            expires_at=now + context.config.store_days * _SECONDS_PER_DAY,
            instances=instances,
            is_limited=message.is_limited,
        )
        self._expiry.add(held)
        self._watch(held, now)
        context.outbox.add(Persist(DEFERRED_MESSAGES, held.to_record(), _Keeping(self, held, then)))
        return held

    def _watch(self, held: HeldMessage, now: float) -> None:
        """For the network's own fallback, where it has one: a chat message that no device has."""
        fallback = self._context.ways.fallback
        if fallback is not None and held.is_limited and not held.is_delivered:
            fallback.watch(held, now)

    def _drop_older_eras(self, message: IncomingMessage, instances: frozenset[str]) -> None:
        """What a Welcome of a newer era makes useless for these devices (none named: for any)."""
        box = self._context.mailboxes.get(message.user.key)
        if box is None or not message.content.media_type.startswith(MlsContentType.SERVER):
            return
        for older in outdated_by(message.content, message.sender_key, list(box.held.values())):
            if not instances or (older.instances and older.awaited <= instances):
                self._remove(older, "a Welcome of a newer era waits")
            else:
                for instance in instances:
                    self._strike_off(box, older, instance)

    def drop_unsafe(self, held: HeldMessage, error: StoreError) -> None:
        """The store refused it: as if it had never been here."""
        self._context.outbox.note("message not stored", str(error), held.message_id, user=held.owner)
        self._context.mailboxes.remove(held)

    # -- forwarding --------------------------------------------------------------------------------------------------

    def returned(self, owner: str, instances: Collection[str], now: float) -> None:
        """These devices came back, so what failed before says nothing: the redelivery guard is lifted, and a message
        on its way by the old registration goes out again."""
        box = self._context.mailboxes.get(owner)
        for instance in instances if box is not None else ():
            assert box is not None
            queue = box.queue(instance)
            queue.absences, queue.not_before, queue.tries_at = 0, 0.0, 0.0
            if queue.offer is not None and not queue.offer.is_over:
                queue.offer.expired(now)

    def wake(self, owner: str, instances: Collection[str] | None, now: float) -> None:
        """A device registered, or something new came for it: hands out what waits, to *instances* or (None) to all.

        A device that has just failed gets it when the redelivery guard has passed."""
        if self._context.mailboxes.get(owner) is None:
            return
        for device in self._context.devices.reachable(owner, now):
            if instances is None or device.instance in instances:
                self.wake_device(owner, device, now)

    def wake_device(self, owner: str, device: Device, now: float) -> None:
        """The same for one device."""
        box = self._context.mailboxes.get(owner)
        if box is None:
            return
        queue = box.queue(device.instance)
        if now >= queue.not_before:
            self._advance(box, queue, device, owner, now)
        elif not queue.is_armed and box.next_for(device.instance) is not None:
            queue.is_armed = True
            self._context.deadlines.arm(queue.not_before, _Retry(self, owner, device, queue))

    def _advance(self, box: Mailbox, queue: DeviceQueue, device: Device, owner: str, now: float) -> None:
        if queue.in_flight is not None or not device.is_reachable(now):
            return
        while (held := box.next_for(device.instance)) is not None and rules_out(held.request, device):
            self._give_up(box, held, device, _RULED_OUT, now)
        if held is None:
            return
        offer = DeviceOffer(_Delivery(self, held), device, now)
        queue.in_flight, queue.offer = held, offer
        user = self._context.subscribers.find(owner)
        identity = held.request.request_uri_text if user is None else user.identity
        self._context.outbox.note("message handed out", f"to {_name(device)}", held.message_id, user=owner)
        send_copy(self._context, offer, held.request, identity, self._context.terminating_route, now)

    def is_offered(self, held: HeldMessage, offer: DeviceOffer) -> None:
        """A copy of *held* is on its way to that device already."""
        box = self._context.mailboxes.get(held.owner)
        if box is not None:
            queue = box.queue(offer.instance)
            queue.in_flight, queue.offer = held, offer

    def taken(self, held: HeldMessage, offer: DeviceOffer, now: float) -> None:
        """The device has it."""
        held.late_offers.discard(offer)
        device, box = offer.device, self._context.mailboxes.get(held.owner)
        if box is None:
            return
        queue = box.queue(device.instance)
        _land(queue, held)
        queue.failures, queue.absences, queue.not_before, queue.tries_at = 0, 0, 0.0, 0.0
        if held.state is not HeldState.GONE:
            self._context.outbox.note("message delivered", f"{_name(device)} took it", held.message_id, user=held.owner)
            self._has_it(box, held, device.instance, now)
        self.wake_device(held.owner, device, now)

    def _has_it(self, box: Mailbox, held: HeldMessage, instance: str, now: float) -> None:
        held.is_delivered = True
        self._strike_off(box, held, instance)
        self._decide_revocations(held, now)

    def _strike_off(self, box: Mailbox, held: HeldMessage, instance: str) -> None:
        """The device has, or will never have, this message: a named one is struck off, else its cursor moves on."""
        held.taken_by.add(instance)
        has_moved = box.move_cursor(instance)
        if held.is_for_any:
            if has_moved:
                cursor = DeliveryCursor(held.owner, instance, box.queue(instance).cursor)
                self._context.outbox.add(Persist(DELIVERY_CURSORS, cursor))
        elif held.awaited:
            self._context.outbox.add(Persist(DEFERRED_MESSAGES, held.to_record()))
        else:
            self._remove(held, "every device it waited for has it")

    def absent(self, held: HeldMessage, offer: DeviceOffer, status: int, now: float) -> None:
        """The device did not take it: it stays, and the device is left alone until it registers, or something new comes
        for it, or a pause is over that doubles each time; and never asked again within the redelivery guard."""
        box = self._context.mailboxes.get(held.owner)
        if box is None:
            return
        device, config = offer.device, self._context.config
        queue = box.queue(device.instance)
        _land(queue, held)
        queue.unanswered = held
        if offer.state is OfferState.LATE:
            held.late_offers.add(offer)
        queue.not_before = 0.0 if offer.came_back else now + config.redeliver_min_s
        queue.failures = queue.failures + 1 if status >= 500 else 0
        reason = f"{_name(device)}: {status}"
        if queue.failures >= config.redeliver_max_errors:
            self.refused(held, device, status, now)
            return
        self._context.outbox.note("message kept", reason, held.message_id, user=held.owner)
        self._decide_revocations(held, now)
        if offer.came_back:
            self.wake_device(held.owner, device, now)
        elif status < 500:
            self._try_again(held.owner, device, queue, now)

    def _try_again(self, owner: str, device: Device, queue: DeviceQueue, now: float) -> None:
        """It may be there all the same: a session that ended under the message, a link that was lost for a moment. Once
        it is registered no more, only a registration helps."""
        pause_s = min(self._context.config.redeliver_min_s * 2**queue.absences, _LONGEST_PAUSE_S)
        queue.absences, queue.tries_at = min(queue.absences + 1, _DOUBLINGS), now + pause_s
        self._context.deadlines.arm(queue.tries_at, _Again(self, owner, device, queue))

    def settled(self, held: HeldMessage, offer: DeviceOffer, now: float) -> None:
        """A copy that was given up will not be taken any more."""
        held.late_offers.discard(offer)
        box = self._context.mailboxes.get(held.owner)
        if box is not None and not box.is_in_flight(held):
            self._decide_revocations(held, now)

    def refused(self, held: HeldMessage, device: Device, status: int, now: float) -> None:
        """The device will never take it. If no other device may, its life ends here, and the sender is told."""
        box = self._context.mailboxes.get(held.owner)
        if box is None:
            return
        queue = box.queue(device.instance)
        _land(queue, held)
        queue.failures = 0
        if held.state is not HeldState.GONE:
            self._give_up(box, held, device, str(status), now)
        self.wake_device(held.owner, device, now)

    def _give_up(self, box: Mailbox, held: HeldMessage, device: Device, why: str, now: float) -> None:
        self._context.outbox.note("message refused", f"{_name(device)}: {why}", held.message_id, user=held.owner)
        if self._is_wanted_elsewhere(box, held, device.instance):
            self._strike_off(box, held, device.instance)
        else:
            self._fail(held, "no device of the user takes it", now)
        self._decide_revocations(held, now)

    def _is_wanted_elsewhere(self, box: Mailbox, held: HeldMessage, instance: str) -> bool:
        others = held.instances or {device.instance for device in self._context.devices.known(held.owner)}
        return any(other != instance and box.wants(other, held) for other in others)

    # -- receipts, revocation, expiry --------------------------------------------------------------------------------

    def receipt(self, owner: str, sender: str, message_id: str, now: float) -> None:
        """A device of *owner* reported that it has the message: no failure will be told, nothing revoked. Other devices
        still get their copies (F03); a device that was offered it and did not answer does not get it again."""
        held = self._context.mailboxes.find(owner, sender, message_id)
        box = self._context.mailboxes.get(owner)
        if held is None or box is None:
            return
        offered = [instance for instance, queue in box.queues.items() if queue.unanswered is held]
        self._context.outbox.note("receipt matched", "delivered by its own word", message_id, user=owner)
        if len(offered) == 1 and not held.is_delivered:
            self._has_it(box, held, offered[0], now)
        else:
            held.is_delivered = True
            self._decide_revocations(held, now)

    def _decide_revocations(self, held: HeldMessage, now: float) -> None:
        waiting, held.revocations = held.revocations, []
        for decide in waiting:
            decide(now)

    def withdraw(self, held: HeldMessage, then: Kept) -> None:
        """Removes a message on request of its sender; nobody is handed it from now on, unless the store fails."""
        held.state = HeldState.REVOKING
        self._context.outbox.add(Forget(DEFERRED_MESSAGES, held.key, _Withdrawal(self, held, then)))

    def end_withdrawal(self, held: HeldMessage, error: StoreError | None, now: float) -> None:
        if error is not None:
            held.state = HeldState.WAITING
            self.wake(held.owner, None, now)
        else:
            self._forget_cursors(held)

    def end_interworking(self, held: HeldMessage, is_accepted: bool, now: float) -> None:
        """The SMSC took the message, or not. Only then is it removed: a crash in between gives two copies, which the
        receiver's phone merges (digest §8.3), and loses none."""
        if is_accepted:
            self._remove(held, "left as short message")
        else:
            held.state = HeldState.WAITING
        self._decide_revocations(held, now)
        self.wake(held.owner, None, now)

    def expire(self, held: HeldMessage, now: float) -> None:
        """Its time is over (F04)."""
        if held.is_delivered:
            self._remove(held, "expired, and some device has it")
        else:
            self._fail(held, "expired", now)

    def _fail(self, held: HeldMessage, why: str, now: float) -> None:
        content, request = _content_of(held), held.request
        self._remove(held, why)
        if held.is_delivered or content is None or content.kind is not ContentKind.CHAT:
            return
        if content.asks_for("negative-delivery"):
            self._notices.report(request, content, ImdnKind.DELIVERY, ImdnStatus.FAILED, now)

    def _remove(self, held: HeldMessage, why: str) -> None:
        if held.state is HeldState.GONE:
            return
        self._context.outbox.note("message removed", why, held.message_id, user=held.owner)
        self._context.outbox.add(Forget(DEFERRED_MESSAGES, held.key))
        self._forget_cursors(held)

    def _forget_cursors(self, held: HeldMessage) -> None:
        for key in self._context.mailboxes.remove(held):
            self._context.outbox.add(Forget(DELIVERY_CURSORS, key))


def _land(queue: DeviceQueue, held: HeldMessage) -> None:
    if queue.in_flight is held:
        queue.in_flight = queue.offer = None


def _name(device: Device) -> str:
    return device.instance or "the device without instance id"


def _content_of(held: HeldMessage) -> PagerContent | None:
    try:
        return read_pager(held.request)
    except ContentRefused:
        return None


class _Delivery:
    """A stored message on its way to one device."""

    __slots__ = ("_forward", "_held")

    def __init__(self, forward: StoreAndForward, held: HeldMessage) -> None:
        self._forward = forward
        self._held = held

    def taken(self, offer: DeviceOffer, now: float) -> None:
        self._forward.taken(self._held, offer, now)

    def absent(self, offer: DeviceOffer, status: int, now: float) -> None:
        self._forward.absent(self._held, offer, status, now)

    def refused(self, offer: DeviceOffer, status: int, response: Response | None, now: float) -> None:
        self._forward.refused(self._held, offer.device, status, now)

    def settled(self, offer: DeviceOffer, now: float) -> None:
        self._forward.settled(self._held, offer, now)


class _Keeping:
    """A message on its way into the store."""

    __slots__ = ("_forward", "_held", "_then")

    def __init__(self, forward: StoreAndForward, held: HeldMessage, then: Kept) -> None:
        self._forward = forward
        self._held = held
        self._then = then

    def stored(self, error: StoreError | None, now: float) -> None:
        if error is not None:
            self._forward.drop_unsafe(self._held, error)
        self._then(error, now)


class _Withdrawal:
    """A message on its way out of the store."""

    __slots__ = ("_forward", "_held", "_then")

    def __init__(self, forward: StoreAndForward, held: HeldMessage, then: Kept) -> None:
        self._forward = forward
        self._held = held
        self._then = then

    def stored(self, error: StoreError | None, now: float) -> None:
        self._forward.end_withdrawal(self._held, error, now)
        self._then(error, now)


class _Retry:
    """The end of the redelivery guard of one device."""

    __slots__ = ("_device", "_forward", "_owner", "_queue", "is_over")

    def __init__(self, forward: StoreAndForward, owner: str, device: Device, queue: DeviceQueue) -> None:
        self._forward = forward
        self._owner = owner
        self._device = device
        self._queue = queue
        self.is_over = False

    def expired(self, now: float) -> None:
        self._queue.is_armed = False
        self._forward.wake_device(self._owner, self._device, now)


class _Again:
    """The end of the pause after which a device is offered what it did not take."""

    __slots__ = ("_at", "_device", "_forward", "_owner", "_queue")

    def __init__(self, forward: StoreAndForward, owner: str, device: Device, queue: DeviceQueue) -> None:
        self._forward = forward
        self._owner = owner
        self._device = device
        self._queue = queue
        self._at = queue.tries_at

    @property
    def is_over(self) -> bool:
        """Whether something has happened since."""
        return self._queue.tries_at != self._at

    def expired(self, now: float) -> None:
        self._queue.tries_at = 0.0
        self._forward.wake_device(self._owner, self._device, now)


class _Resumption:
    """The end of the pause after a restart."""

    __slots__ = ("_context", "_forward", "is_over")

    def __init__(self, forward: StoreAndForward, context: PartContext) -> None:
        self._forward = forward
        self._context = context
        self.is_over = False

    def expired(self, now: float) -> None:
        self.is_over = True
        for owner in list(self._context.mailboxes.owners()):
            self._forward.wake(owner, None, now)


class _Expiry:
    """Ends messages whose time is over. They expire in order of arrival, so one deadline is enough."""

    __slots__ = ("_context", "_forward", "_queue", "is_over")

    def __init__(self, forward: StoreAndForward, context: PartContext) -> None:
        self._forward = forward
        self._context = context
        self._queue: deque[HeldMessage] = deque()
        self.is_over = False

    def add(self, held: HeldMessage) -> None:
        self._queue.append(held)
        if len(self._queue) == 1:
            self._context.deadlines.arm(held.expires_at, self)
        elif len(self._queue) > _MIN_COMPACTED + 2 * len(self._context.mailboxes):
            self._queue = deque(held for held in self._queue if held.state is not HeldState.GONE)

    def expired(self, now: float) -> None:
        queue = self._queue
        while queue and (queue[0].state is HeldState.GONE or queue[0].expires_at <= now):
            held = queue.popleft()
            if held.state is not HeldState.GONE:
                self._forward.expire(held, now)
        if queue:
            self._context.deadlines.arm(queue[0].expires_at, self)

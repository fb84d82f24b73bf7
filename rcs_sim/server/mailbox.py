"""Messages that wait for a user's devices, in order of arrival, with a cursor per device (digest §4.8, §19.4)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator

from ims_core.store.deferred_messages import DeferredMessage, DeliveryCursor, deferred_key
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import Limits, parse_datagram
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.pager_content import ContentKind, ContentRefused, PagerContent, read_pager
from rcs_sim.server.served_users import asserted_identity, key_of_uri
from rcs_sim.wire.message_reference import MessageReference, ReferenceType

__all__ = ["DeviceQueue", "HeldMessage", "HeldState", "Mailbox", "Mailboxes"]


_RECALL = ReferenceType.RECALL.encode()
_STORED = Limits(max_message_octets=2**31)  # whatever was stored can be read again: sessions carry long messages


class HeldState(enum.Enum):
    """Where a stored message stands."""

    WAITING = enum.auto()
    REVOKING = enum.auto()  # being removed on request of its sender: not handed out any more
    INTERWORKING = enum.auto()  # on its way out as short message: not handed out unless the SMSC refuses it
    GONE = enum.auto()


class HeldMessage:
    """One stored message. *instances* names the devices it is for, after another has taken it; empty: it is for every
    device that asks before it expires.

    *is_limited*: it counts against the limit per user; receipts do not (digest §15.5)."""

    __slots__ = (
        "_octets",
        "_request",
        "expires_at",
        "instances",
        "is_delivered",
        "is_limited",
        "late_offers",
        "message_id",
        "order",
        "owner",
        "revocations",
        "sender",
        "size",
        "state",
        "stored_at",
        "taken_by",
    )

    def __init__(
        self,
        owner: str,
        order: int,
        octets: bytes,
        *,
        sender: str,
        message_id: str,
        stored_at: float,
        expires_at: float,
        instances: frozenset[str] = frozenset(),
        is_limited: bool = True,
    ) -> None:
        self.owner = owner
        self.order = order
        self.sender = sender
        self.size = len(octets)
        self.message_id = message_id
        self.stored_at = stored_at
        self.expires_at = expires_at
        self.instances = instances
        self.is_limited = is_limited
        self.is_delivered = bool(instances)  # one device has it at least: others are named only then
        self.taken_by: set[str] = set()
        self.late_offers: set[DeviceOffer] = set()  # given up, but the device may still take them
        self.state = HeldState.WAITING
        self.revocations: list[Callable[[float], None]] = []  # to be decided when its delivery has ended
        self._octets = octets
        self._request: Request | None = None

    @property
    def key(self) -> str:
        return deferred_key(self.owner, self.order)

    @property
    def request(self) -> Request:
        """The request to deliver, without Route and Via."""
        if self._request is None:
            message = parse_datagram(self._octets, _STORED)
            assert isinstance(message, Request)  # checked by `Mailboxes.load`, made by us otherwise
            self._request = message
        return self._request

    def recalls(self, message_id: str) -> bool:
        """Whether its sender takes back the message *message_id* with it, as far as the network can see."""
        if _RECALL not in self._octets or message_id.encode() not in self._octets:
            return False
        try:
            reference = read_pager(self.request).reference
        except ContentRefused:
            return False
        return reference == MessageReference(message_id, ReferenceType.RECALL)

    def release(self) -> None:
        """It is gone: nothing of it is read any more."""
        self.state = HeldState.GONE
        self._octets, self._request = b"", None

    def is_for(self, instance: str) -> bool:
        """Whether that device is still to get it, as far as the message itself knows (see `Mailbox.wants`)."""
        return instance not in self.taken_by and (not self.instances or instance in self.instances)

    @property
    def awaited(self) -> frozenset[str]:
        """The named devices that do not have it yet; empty also where none was named."""
        return self.instances - self.taken_by

    @property
    def is_for_any(self) -> bool:
        return not self.instances

    def to_record(self) -> DeferredMessage:
        awaited = tuple(sorted(self.awaited))
        return DeferredMessage(self.owner, self.order, self._octets, self.stored_at, self.expires_at, awaited)


class DeviceQueue:
    """How far one device has come, and what it is being handed at present."""

    __slots__ = (
        "absences",
        "cursor",
        "failures",
        "in_flight",
        "is_armed",
        "not_before",
        "offer",
        "tries_at",
        "unanswered",
    )

    def __init__(self) -> None:
        self.cursor = 0
        self.in_flight: HeldMessage | None = None
        self.offer: DeviceOffer | None = None  # of the message in flight
        self.unanswered: HeldMessage | None = None  # offered once, and no answer came: the device may have it
        self.failures = 0  # server errors in a row for the message that is next
        self.absences = 0  # in a row, of a device that is registered
        self.tries_at = 0.0  # when it is offered the next one though nothing happens; 0 for never
        self.is_armed = False  # a retry is due at `not_before`
        self.not_before = 0.0


class Mailbox:
    """The stored messages of one user."""

    __slots__ = ("by_id", "held", "octets", "queues")

    def __init__(self) -> None:
        self.octets = 0
        self.held: dict[int, HeldMessage] = {}  # by order, ascending
        self.by_id: dict[tuple[str, str], HeldMessage] = {}  # by sender and imdn.Message-ID
        self.queues: dict[str, DeviceQueue] = {}

    def queue(self, instance: str) -> DeviceQueue:
        return self.queues.setdefault(instance, DeviceQueue())

    def wants(self, instance: str, held: HeldMessage) -> bool:
        """Whether that device is still to get the message."""
        return held.order > self.queue(instance).cursor and held.is_for(instance)

    def next_for(self, instance: str) -> HeldMessage | None:
        """The oldest message that the device is to get."""
        cursor = self.queue(instance).cursor
        if not self.held or next(reversed(self.held)) <= cursor:
            return None
        for held in self.held.values():
            if held.order > cursor and held.state is HeldState.WAITING and held.is_for(instance):
                return held
        return None

    def move_cursor(self, instance: str) -> bool:
        """Sets the cursor of a device before the oldest message that it is to get. Whether that moved it.

        Messages can be taken out of order (an answer that came late), so a cursor does not just follow them."""
        queue = self.queue(instance)
        before = queue.cursor
        for held in self.held.values():
            if held.order > before:
                if held.is_for(instance):
                    break
                queue.cursor = held.order
        return queue.cursor != before

    def is_in_flight(self, held: HeldMessage) -> bool:
        """Whether a device may still take it by a copy that was sent."""
        return bool(held.late_offers) or any(queue.in_flight is held for queue in self.queues.values())


class Mailboxes:
    """The mailboxes of all users. Messages of one mailbox keep their order of arrival, whatever happens to them."""

    __slots__ = (
        "_boxes",
        "_count",
        "_max_octets",
        "_max_octets_total",
        "_max_per_user",
        "_max_total",
        "_octets",
        "_order",
        "is_full",
    )

    def __init__(
        self, max_per_user: int, max_total: int, *, max_octets: int = 2**40, max_octets_total: int = 2**40
    ) -> None:
        """At most *max_per_user* messages of *max_octets* together for one user, so many in all; none at all while the
        store *is_full*, which a fault may say."""
        self.is_full = False
        self._max_octets = max_octets
        self._max_octets_total = max_octets_total
        self._octets = 0
        self._boxes: dict[str, Mailbox] = {}
        self._max_per_user = max_per_user
        self._max_total = max_total
        self._count = 0
        self._order = 0

    def __len__(self) -> int:
        return self._count

    def get(self, owner: str) -> Mailbox | None:
        return self._boxes.get(owner)

    def owners(self) -> Iterator[str]:
        return iter(self._boxes)

    def has_backlog(self, owner: str, instance: str) -> bool:
        """Whether something waits for that device, so that a new message must wait behind it (F02)."""
        box = self._boxes.get(owner)
        return box is not None and (box.queue(instance).in_flight is not None or box.next_for(instance) is not None)

    def room_for(self, owner: str, is_limited: bool, octets: int = 0) -> bool:
        """Whether one more message of the user may be stored, with a body of so many *octets*."""
        if self.is_full:
            return False
        if self._count >= self._max_total or self._octets + octets > self._max_octets_total:
            return False
        box = self._boxes.get(owner)
        if box is None or not is_limited:
            return octets <= self._max_octets
        return len(box.held) < self._max_per_user and box.octets + octets <= self._max_octets

    def spare(self, owner: str) -> HeldMessage | None:
        """A message that may go when the mailbox is full: the oldest that some device of the user has."""
        box = self._boxes.get(owner)
        if box is None:
            return None
        return next((held for held in box.held.values() if held.is_delivered and not box.is_in_flight(held)), None)

    def add(
        self,
        owner: str,
        request: Request,
        *,
        sender: str,
        message_id: str,
        now: float,
        expires_at: float,
        instances: frozenset[str] = frozenset(),
        is_limited: bool = True,
    ) -> HeldMessage:
        """Puts a message at the end of the mailbox."""
        self._order += 1
        held = HeldMessage(
            owner,
            self._order,
            request.encode(),
            sender=sender,
            message_id=message_id,
            stored_at=now,
            expires_at=expires_at,
            instances=instances,
            is_limited=is_limited,
        )
        self._insert(held)
        return held

    def _insert(self, held: HeldMessage) -> None:
        box = self._boxes.setdefault(held.owner, Mailbox())
        box.held[held.order] = held
        if held.message_id:
            box.by_id[held.sender, held.message_id] = held
        box.octets += held.size
        self._octets += held.size
        self._count += 1

    def find(self, owner: str, sender: str, message_id: str) -> HeldMessage | None:
        box = self._boxes.get(owner)
        return None if box is None else box.by_id.get((sender, message_id))

    def remove(self, held: HeldMessage) -> list[str]:
        """Takes a message out. Returns the keys of the cursors that are of no more use."""
        box = self._boxes.get(held.owner)
        if box is None or held.state is HeldState.GONE:
            return []
        held.release()
        del box.held[held.order]
        box.by_id.pop((held.sender, held.message_id), None)
        box.octets -= held.size
        self._octets -= held.size
        self._count -= 1
        if box.held or any(queue.in_flight is not None for queue in box.queues.values()):
            return []
        del self._boxes[held.owner]
        return [f"{held.owner} {instance}" for instance, queue in box.queues.items() if queue.cursor]

    def load(
        self, messages: Iterable[DeferredMessage], cursors: Iterable[DeliveryCursor]
    ) -> tuple[list[HeldMessage], list[DeferredMessage]]:
        """Fills the mailboxes from the store. Returns the messages, oldest first, and those that cannot be read."""
        loaded: list[HeldMessage] = []
        unreadable: list[DeferredMessage] = []
        for record in sorted(messages, key=lambda message: message.order):
            self._order = max(self._order, record.order)
            held = _read(record)
            if held is None:
                unreadable.append(record)
                continue
            self._insert(held)
            loaded.append(held)
        for cursor in cursors:
            self._order = max(self._order, cursor.order)
            box = self._boxes.get(cursor.owner)
            if box is not None:
                box.queue(cursor.instance).cursor = cursor.order
                for held in box.held.values():
                    held.is_delivered |= held.order <= cursor.order and held.is_for(cursor.instance)
        return loaded, unreadable


def _read(record: DeferredMessage) -> HeldMessage | None:
    try:
        request = parse_datagram(record.octets, _STORED)
        content = read_pager(request) if isinstance(request, Request) else None
    except (SipParseError, ContentRefused):
        return None
    if content is None or not isinstance(request, Request):
        return None
    return _held(record, request, content)


def _held(record: DeferredMessage, request: Request, content: PagerContent) -> HeldMessage:
    sender = asserted_identity(request)
    return HeldMessage(
        record.owner,
        record.order,
        record.octets,
        sender="" if sender is None else key_of_uri(sender),
        message_id=content.message_id,
        stored_at=record.stored_at,
        expires_at=record.expires_at,
        instances=frozenset(record.instances),
        is_limited=content.kind is ContentKind.CHAT,
    )

"""Decision core of the service centre: synchronous, without I/O (TS 23.040, digest §8.8, §15.7).

A submission is stored before it is acknowledged: `Persist` goes out, and `stored` brings the RP-ACK. One for another
carrier's number is handed on first, if nothing else waits for that number, so that the sender hears of a refusal; if
the other service centre does not answer in time it is acknowledged and kept here like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ims_core.cx import Sh
from ims_core.nodes.smsc_actions import Action, ApplicationMessage, CloseLink, Forget, SendFrame, SmscConfig
from ims_core.nodes.smsc_book import MessageBook, SmscTimer
from ims_core.nodes.smsc_delivery import Delivery
from ims_core.nodes.smsc_links import LinkUser
from ims_core.nodes.smsc_messages import parse_stored
from ims_core.nodes.smsc_queue import Destination, Reply
from ims_core.nodes.smsc_replies import Replies
from ims_core.nodes.smsc_submission import Refusal, Submissions
from ims_core.store.short_messages import ShortMessage, short_message_key
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import Direction, RpAck, RpCause, RpData, RpSmma, parse_rpdu, readable_reference
from ims_core.wire.sms.sm_link import (
    AlertReason,
    Attach,
    Bind,
    Detach,
    Failure,
    Forward,
    ForwardKind,
    LinkRole,
    Refused,
    Result,
    SmAlert,
    SmError,
    SmLinkMessage,
)
from ims_core.wire.sms.tpdu import FailureCause

__all__ = ["ServiceCentre"]


class ServiceCentre:
    """*smsc_of* gives the element name of the service centre that serves a number, None for nobody's number; *sh* knows
    the own subscribers. Every input gives the actions to carry out, in order."""

    __slots__ = ("_book", "_delivery", "_replies", "_submissions")

    def __init__(self, config: SmscConfig, *, sh: Sh, smsc_of: Callable[[str], str | None]) -> None:
        self._book = MessageBook(config, sh, smsc_of)
        self._replies = Replies(self._book)
        self._submissions = Submissions(self._book, self._replies)
        self._delivery = Delivery(self._book, self._replies)

    @property
    def stored_count(self) -> int:
        """Messages that are held."""
        return self._book.stored_count

    def set_congested(self, is_congested: bool) -> None:
        """While set, submissions are refused with cause 42."""
        self._submissions.is_congested = is_congested

    # --- store -------------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[ShortMessage], now: float) -> list[Action]:
        """Takes up what the store held."""
        for record in records:
            try:
                message = parse_stored(record)
            except SmsParseError as error:
                self._book.note("stored message is unreadable", number=str(record.number), reason=str(error))
                self._book.out.append(Forget(short_message_key(record.number)))
            else:
                self._delivery.resume(message, now)
        return self._book.drain()

    def stored(self, number: int, now: float) -> list[Action]:
        """The record with this number is safe."""
        message = self._book.storing.pop(number, None)
        if message is not None:
            self._delivery.begin(message, now)
        return self._book.drain()

    def store_failed(self, number: int, now: float) -> list[Action]:
        """The record could not be stored: the submission is refused."""
        message = self._book.storing.pop(number, None)
        if message is not None:
            self._book.note("not stored", number=str(number))
            cause, failure = RpCause.NETWORK_OUT_OF_ORDER, FailureCause.SC_SYSTEM_FAILURE
            self._replies.refuse(message.reply, cause, failure, now)
        return self._book.drain()

    # --- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        return self._book.deadlines.next_deadline()

    def handle_deadline(self, now: float) -> list[Action]:
        for timer, subject in self._book.deadlines.pop_due(now):
            if isinstance(subject, Destination):
                self._delivery.retry(subject, now)
            elif timer is SmscTimer.BIND:
                self._close(subject, now)
            elif timer is SmscTimer.ANSWER:
                self._delivery.attempt_failed(subject, now)
            else:
                self._delivery.expire(subject, now)
        return self._book.drain()

    # --- connections -------------------------------------------------------------------------------------------------

    def link_opened(self, link: int, host: str, now: float) -> list[Action]:
        """A connection was accepted; *link* is the shell's number for it."""
        if len(self._book.links.users) >= self._book.config.max_links:
            return [CloseLink(link)]
        self._book.links.users[link] = LinkUser(host)
        self._book.deadlines.set((SmscTimer.BIND, link), now + self._book.config.bind_s)
        return []

    def link_closed(self, link: int, now: float) -> list[Action]:
        self._drop_link(link, now)
        return self._book.drain()

    def peer_lost(self, name: str, now: float) -> list[Action]:
        """The connection that was dialled to a peer ended, or was not made."""
        self._delivery.fail_path(name, now)
        return self._book.drain()

    def receive(self, link: int, message: SmLinkMessage, now: float) -> list[Action]:
        """A frame of an accepted connection."""
        user = self._book.links.users.get(link)
        if user is not None:
            self._receive(link, user, message, now)
        return self._book.drain()

    def receive_from_peer(self, name: str, message: SmLinkMessage, now: float) -> list[Action]:
        """A frame of the connection that was dialled to a peer: only answers come there."""
        if isinstance(message, Result | Failure):
            self._delivery.answer(name, message, now)
        elif isinstance(message, Refused):
            self._book.note("refused by peer", peer=name)
            self._delivery.fail_path(name, now)
        return self._book.drain()

    def submit(self, ticket: int, message: ApplicationMessage, now: float) -> list[Action]:
        """A message of an application in this process; `Answered` follows, once for all its parts."""
        self._submissions.submit(ticket, message, now)
        return self._book.drain()

    def _receive(self, link: int, user: LinkUser, message: SmLinkMessage, now: float) -> None:
        match message:
            case Bind() | Attach():
                self._identify(link, user, message, now)
            case Detach():
                self._close(link, now)
            case Forward() if user.is_known:
                self._forward(link, user, message, now)
            case Result() | Failure():
                self._delivery.answer(link, message, now)
            case SmAlert() if user.role is LinkRole.IP_SM_GW:
                self._delivery.alert(message.subscriber.value, message.reason, now)
            case _:
                self._book.note("frame out of place", frame=type(message).__name__)
                self._close(link, now)

    def _identify(self, link: int, user: LinkUser, message: Bind | Attach, now: float) -> None:
        links = self._book.links
        if isinstance(message, Bind):
            answer, replaced = links.bind(link, user, message)
        else:
            answer, replaced = links.attach(link, user, message)
        self._book.out.append(SendFrame(link, answer))
        if isinstance(answer, Refused):
            self._close(link, now)
            return
        self._book.deadlines.remove((SmscTimer.BIND, link))
        if replaced is not None:
            self._close(replaced, now)
        self._book.note("attached" if user.imsi else "bound", who=user.msisdn or user.name)
        self._delivery.alert_queues_of(user, now)

    def _close(self, link: int, now: float) -> None:
        self._book.out.append(CloseLink(link))
        self._drop_link(link, now)

    def _drop_link(self, link: int, now: float) -> None:
        self._book.deadlines.remove((SmscTimer.BIND, link))
        if self._book.links.remove(link) is not None:
            self._delivery.fail_path(link, now)

    # --- submissions -------------------------------------------------------------------------------------------------

    def _forward(self, link: int, user: LinkUser, forward: Forward, now: float) -> None:
        rp_reference = readable_reference(forward.rpdu)
        if rp_reference is None:
            self._book.out.append(SendFrame(link, Failure(forward.reference, SmError.SYSTEM_FAILURE)))
            return
        reply = Reply(link, forward.reference, rp_reference)
        try:
            self._take(user, forward, reply, now)
        except SmsParseError as error:
            self._book.note("unreadable RP message", reason=str(error))
            self._replies.refuse(reply, RpCause.PROTOCOL_ERROR, None, now)
        except Refusal as refusal:
            self._replies.refuse(reply, refusal.cause, refusal.failure, now)

    def _take(self, user: LinkUser, forward: Forward, reply: Reply, now: float) -> None:
        """Raises SmsParseError, Refusal."""
        match parse_rpdu(forward.rpdu), forward.kind:
            case RpSmma(), ForwardKind.MO if user.msisdn and reply.link is not None:
                answer = RpAck(Direction.TO_MS, reply.rp_reference).encode()
                self._book.out.append(SendFrame(reply.link, Result(forward.reference, answer)))
                self._delivery.alert(user.msisdn, AlertReason.MEMORY_AVAILABLE, now)
            case RpData(direction=Direction.FROM_MS, user_data=tpdu), ForwardKind.MO:
                self._submissions.take(user, forward, reply, tpdu, now)
            case RpData(direction=Direction.TO_MS, user_data=tpdu), ForwardKind.REPORT if user.role is LinkRole.SMSC:
                self._submissions.take_report(forward, reply, tpdu, now)
            case _:
                raise Refusal(RpCause.MESSAGE_NOT_COMPATIBLE)

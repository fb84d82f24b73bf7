"""How what the focus says reaches devices: ordinary message delivery, in the conversation, in the name of the other
participant (RCC.16 digest §14.4).

A copy that does not get through is tried again for some hours. One member gets its copies in order: the next waits for
the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ims_core.store.mls_conversations import StoredFanOut
from ims_core.store.record_table import StoreError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import TelUri
from rcs_sim.server.device_capabilities import CPM_MSG
from rcs_sim.server.messaging_actions import SendRequest
from rcs_sim.server.mls_answers import compose_fan_out
from rcs_sim.server.mls_conversation import Pair
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.passing_message import PassingMessage
from rcs_sim.server.relayed_request import as_service, make_request, rfc3339
from rcs_sim.server.served_users import ServedUser
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.terminating import TerminatingMessages
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE

__all__ = ["MlsDelivery", "Settled"]

Settled = Callable[[str, bool, float], None]
"""Told that a member's server has a copy, or (False) that it never will."""

_ATTEMPTS = 16
_LONGEST_PAUSE_S = 1800.0  # as for the server's other notices (choice)
_PERMANENT_BELOW = 500
_TRY_AGAIN = frozenset((408, 430, 480))


class MlsDelivery:
    """One per server."""

    __slots__ = ("_context", "_lines", "_terminating")

    def __init__(self, context: PartContext, terminating: TerminatingMessages) -> None:
        self._context = context
        self._terminating = terminating
        self._lines: dict[tuple[Pair, str], deque[_Copy]] = {}

    # -- answers -----------------------------------------------------------------------------------------------------

    def answer(self, asked: PassingMessage, requester: str, other: str, body: bytes, now: float) -> None:
        """To who asked: in the session that the request came in, else by a message of its own, which all devices of the
        requester get; a session that stands may be that of another one."""

        def said(status: int, then: float) -> None:
            if status >= 300:
                self._answer_elsewhere(asked, requester, other, body, then)

        session = asked.session
        if session is None or not session.say(CPIM_CONTENT_TYPE, body, said, now, to_user=asked.is_from_user):
            self._answer_elsewhere(asked, requester, other, body, now)

    def _answer_elsewhere(self, asked: PassingMessage, requester: str, other: str, body: bytes, now: float) -> None:
        user = self._user(requester)
        if user is None:
            is_small = len(body) <= self._context.config.pager_max_octets
            self._send_away(requester, other, asked.ids, body, _nobody_waits, now, in_session=not is_small)
            return
        request = self._to_user(user, other, asked.ids, body)
        gruu = self._gruu_of(user, asked.instance) if asked.is_from_user else ""
        if gruu:  # of all devices of the user, the one that asked
            request = request.edit().request_uri(gruu).done()
        self._terminating.receive_own(request, user, now)

    def _gruu_of(self, user: ServedUser, instance: str) -> str:
        devices = self._context.devices.known(user.key)
        return next((each.gruu for each in devices if instance and each.instance == instance), "")

    # -- fan-out -----------------------------------------------------------------------------------------------------

    def fan_out(self, pair: Pair, fan_out: StoredFanOut, instance: str | None, settled: Settled, now: float) -> None:
        """A copy for each member. *instance* is the requester's device, which needs none: empty if it is one of ours
        without a name, None if it is not known to be ours."""
        ids = (("Conversation-ID", fan_out.conversation_id),) if fan_out.conversation_id else ()
        for member in fan_out.members:
            sender = pair[1] if member == pair[0] else pair[0]
            body = compose_fan_out(fan_out, member, sender, rfc3339(now))
            spared = instance if member == fan_out.requester else None
            copy = _Copy(self, pair, member, sender, ids, body, spared, settled)
            line = self._lines.setdefault((pair, member), deque())
            line.append(copy)
            if len(line) == 1:
                self.send(copy, now)

    def send(self, copy: _Copy, now: float) -> None:
        """One attempt."""
        user = self._user(copy.member)
        if user is None:
            self._send_away(copy.member, copy.sender, copy.ids, copy.body, copy.said, now)
        elif copy.spared is not None and not self._has_other_devices(user, copy.spared):
            copy.said(200, now)
        else:
            self._send_to_devices(user, copy, now)

    def _has_other_devices(self, user: ServedUser, instance: str) -> bool:
        known = [each for each in self._context.devices.known(user.key) if each.may_be_rcs]
        return any(each.instance != instance for each in known) if instance else len(known) > 1

    def _send_to_devices(self, user: ServedUser, copy: _Copy, now: float) -> None:
        request = self._to_user(user, copy.sender, copy.ids, copy.body)

        def kept(error: StoreError | None, then: float) -> None:
            copy.said(200 if error is None else 503, then)

        if copy.spared and self._terminating.keep_copies(request, user, copy.spared, kept, now):
            return
        exchange = self._context.outbox.inner_exchange(copy)
        self._terminating.receive(exchange, request, user, now, is_own=True)

    def settle(self, copy: _Copy, *, is_delivered: bool, now: float) -> None:
        """A copy has arrived, or never will: the next one goes."""
        line = self._lines[copy.pair, copy.member]
        line.popleft()
        if not line:
            del self._lines[copy.pair, copy.member]
        copy.settled(copy.member, is_delivered, now)
        if line:
            self.send(line[0], now)

    def retry(self, copy: _Copy, pause_s: float, now: float) -> None:
        self._context.deadlines.arm(now + pause_s, copy)

    @property
    def first_pause_s(self) -> float:
        return self._context.config.redeliver_min_s

    # -- ways --------------------------------------------------------------------------------------------------------

    def _user(self, digits: str) -> ServedUser | None:
        return self._context.subscribers.find(f"tel:+{digits}")

    def _to_user(self, user: ServedUser, sender: str, ids: tuple[HeaderInput, ...], body: bytes) -> Request:
        peer = TelUri(f"+{sender}")
        parties = SessionParties(user, peer, (peer,), ids)
        return parties.to_user(CPIM_CONTENT_TYPE, body, self._context)

    def _send_away(
        self,
        recipient: str,
        sender: str,
        ids: tuple[HeaderInput, ...],
        body: bytes,
        said: Callable[[int, float], None],
        now: float,
        *,
        in_session: bool = True,
    ) -> None:
        """To a participant of another carrier, in the name of ours: in the session that stands, by a MESSAGE, or in a
        session that this server opens."""
        user, ways = self._user(sender), self._context.ways
        if user is None:  # who is no longer ours has no focus here
            said(404, now)
            return
        peer = TelUri(f"+{recipient}")
        to_peer = ways.to_peer if in_session else None
        session = None if to_peer is None else to_peer.standing(user.key, f"tel:+{recipient}")
        if session is not None and session.say(CPIM_CONTENT_TYPE, body, said, now, to_user=False):
            return
        if len(body) <= self._context.config.pager_max_octets or ways.to_peer is None:
            self._context.outbox.add(SendRequest(self._message(user, peer, ids, body), _Asked(said)))
        else:
            ways.to_peer.say(user, peer, ids, body, said, now)

    def _message(self, user: ServedUser, peer: TelUri, ids: tuple[HeaderInput, ...], body: bytes) -> Request:
        """Of a service of this carrier, so that no criteria of the user bring it back here (digest §16)."""
        context = self._context
        request = make_request(
            target=peer,
            sender=user.identity,
            is_registered=True,
            body=body,
            route=context.originating_route,
            tokens=context.tokens,
            domain=context.config.domain,
            icsi=CPM_MSG,
            ids=ids,
        )
        return as_service(request, context.service_identity, user.identity)


def _nobody_waits(_status: int, _now: float) -> None:
    """Who has no answer asks again."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A MESSAGE to another carrier; errand."""

    said: Callable[[int, float], None]

    def finished(self, status: int, response: Response | None, now: float) -> None:
        self.said(status, now)


class _Copy:
    """One member's copy on its way; errand, and deadline of its next attempt."""

    __slots__ = (
        "_attempts",
        "_delivery",
        "body",
        "ids",
        "is_over",
        "member",
        "pair",
        "sender",
        "settled",
        "spared",
    )

    def __init__(
        self,
        delivery: MlsDelivery,
        pair: Pair,
        member: str,
        sender: str,
        ids: tuple[HeaderInput, ...],
        body: bytes,
        spared: str | None,
        settled: Settled,
    ) -> None:
        self._delivery = delivery
        self._attempts = 1
        self.pair = pair
        self.member = member
        self.sender = sender
        self.ids = ids
        self.body = body
        self.spared = spared
        self.settled = settled
        self.is_over = False

    def finished(self, status: int, response: Response | None, now: float) -> None:
        self.said(status, now)

    def said(self, status: int, now: float) -> None:
        if self.is_over:
            return
        is_permanent = 400 <= status < _PERMANENT_BELOW and status not in _TRY_AGAIN
        if status < 300 or is_permanent or status >= 600 or self._attempts == _ATTEMPTS:
            self.is_over = True
            self._delivery.settle(self, is_delivered=status < 300, now=now)
            return
        pause_s = min(self._delivery.first_pause_s * 2 ** (self._attempts - 1), _LONGEST_PAUSE_S)
        self._delivery.retry(self, pause_s, now)

    def expired(self, now: float) -> None:
        self._attempts += 1
        self._delivery.send(self, now)

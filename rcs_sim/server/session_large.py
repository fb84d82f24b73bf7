"""Large message mode: one message of any length streams through, chunk by chunk (digest §4.1, §4.5, §15.5).

Who is absent gets it from the store, up to a limit: then the server takes it itself, as whole message."""

from __future__ import annotations

from typing import ClassVar

from ims_core.reference_points import LegEnd
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, Reported
from ims_core.wire.sip.call_outputs import Ended
from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.device_capabilities import CPM_LARGE, takes_large_messages
from rcs_sim.server.device_registry import Device
from rcs_sim.server.pager_content import PagerContent
from rcs_sim.server.session_chat import ChatSession
from rcs_sim.server.session_description import OfferedMedia
from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_originating import OriginatingSession
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_services import SessionServices
from rcs_sim.server.session_terminating import TerminatingSession

__all__ = ["LargeRelay", "OriginatingLarge", "TerminatingLarge"]

_BROKEN = 'SIP;cause=503;text="MSRP connection lost"'


class LargeRelay:
    """Two legs whose chunks pass through a bridge of the anchor; owner of the legs once both are answered, and watch of
    their idleness."""

    __slots__ = ("_is_over", "_is_up", "_legs", "_parties", "_services", "bridge")

    def __init__(self, services: SessionServices, parties: SessionParties) -> None:
        self._services = services
        self._parties = parties
        self._legs: tuple[SessionLeg, ...] = ()
        self._is_up = False
        self._is_over = False
        self.bridge = services.shared.media.bridge(self)

    @property
    def is_over(self) -> bool:
        return self._is_over

    def establish(self, near: SessionLeg, far: SessionLeg, now: float) -> None:
        """Both legs are answered."""
        self._legs = (near, far)
        for leg in self._legs:
            leg.owner = self
        self._is_up = True
        if self._is_over:
            self._end(now, _BROKEN, "the connection was lost before it was answered")
        else:
            self._watch(now)

    def _watch(self, now: float) -> None:
        self._services.context.deadlines.arm(now + self._services.context.config.large_idle_s, self)

    def expired(self, now: float) -> None:
        """Nobody has ended it: a phone sends one message, then BYE."""
        self._end(now, 'SIP;cause=408;text="Idle"', "nobody ended it")

    # -- TimedBridgeUser ---------------------------------------------------------------------------------------------

    def message_passed(self, message_id: str, now: float) -> None:
        self._note("large message passed", "the next leg has it")

    def bridge_ended(self, end: LegEnd, now: float) -> None:
        if self._is_up:
            self._end(now, _BROKEN, f"{end.kind.value}: {end.why}"[:200])
        else:
            self._is_over = True

    # -- LegOwner ----------------------------------------------------------------------------------------------------

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        if leg in self._legs:
            self._end(now, end.reason_header, end.reason.value)

    def _end(self, now: float, reason: str | None, why: str) -> None:
        legs, self._legs = self._legs, ()
        if not legs:
            return
        self._is_over = True
        for leg in legs:
            leg.hang_up(now, reason)
        self.bridge.close()
        self._services.book.leave(self._parties.user.key)
        self._note("session ended", why)

    def shut_down(self, now: float, reason: str) -> None:
        self._end(now, reason, "the server ends")

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        """It is up already."""

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        """It is up already."""

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        """It is up already."""

    def message_received(self, leg: SessionLeg, message: MessageReceived, now: float) -> None:
        """Its chunks pass through the bridge."""

    def message_sent(self, leg: SessionLeg, message_id: str, now: float) -> None:
        """None is sent from here."""

    def message_failed(self, leg: SessionLeg, failure: MessageFailed, now: float) -> None:
        """None is sent from here."""

    def message_reported(self, leg: SessionLeg, report: Reported, now: float) -> None:
        """None is sent from here."""

    def media_ended(self, leg: SessionLeg, end: LegEnd, now: float) -> None:
        """The bridge tells."""

    def _note(self, summary: str, why: str) -> None:
        self._services.context.outbox.note(summary, why, user=self._parties.user.key)


class OriginatingLarge(OriginatingSession):
    """Large message mode for a user who sends. It crosses and replaces no chat."""

    ICSI: ClassVar[str] = CPM_LARGE

    __slots__ = ("_relay",)

    def __init__(
        self, services: SessionServices, parties: SessionParties, invite: Request, offered: OfferedMedia
    ) -> None:
        super().__init__(services, parties, invite, offered)
        self._relay: LargeRelay | None = None

    def _begin(self) -> None:
        """Two large messages can cross."""

    def _far_leg(self) -> SessionLeg:
        relay = self._relay = LargeRelay(self._services, self._parties)
        return SessionLeg(self._services.shared, self, is_to_user=False, icsi=CPM_LARGE, side=relay.bridge.far)

    def _before_answer(self, leg: SessionLeg) -> None:
        assert self._relay is not None
        self._near.use(self._relay.bridge.near)

    def _established(self, leg: SessionLeg, now: float) -> None:
        assert self._relay is not None
        self._relay.establish(self._near, leg, now)


class TerminatingLarge(TerminatingSession):
    """Large message mode for a user who receives: a bridge to each device until one has answered."""

    ICSI: ClassVar[str] = CPM_LARGE

    __slots__ = ("_relays",)

    def __init__(
        self, services: SessionServices, parties: SessionParties, invite: Request, offered: OfferedMedia
    ) -> None:
        super().__init__(services, parties, invite, offered)
        self._relays: dict[SessionLeg, LargeRelay] = {}

    def _is_for(self, features: FeatureSet) -> bool:
        return takes_large_messages(features)

    def _user_leg(self, device: Device) -> SessionLeg:
        relay = LargeRelay(self._services, self._parties)
        far = relay.bridge.far
        leg = SessionLeg(
            self._services.shared, self, is_to_user=True, icsi=CPM_LARGE, instance=device.instance, side=far
        )
        self._relays[leg] = relay
        return leg

    def _before_answer(self, leg: SessionLeg) -> None:
        self._near.use(self._relays[leg].bridge.near)

    def _established(self, leg: SessionLeg | None, now: float) -> None:
        if leg is None:
            _LargeForStore(self._services, self._parties, user_leg=None, net_leg=self._near, now=now, stands=False)
        else:
            self._relays[leg].establish(self._near, leg, now)


class _LargeForStore(ChatSession):
    """A large message that the server takes for who is absent. It came past servers that could not look into it, so it
    says nothing for a focus, nor to one (choice)."""

    __slots__ = ()

    def _is_taken(self, leg: SessionLeg, content: PagerContent, now: float) -> bool:
        focus = self._services.context.ways.focus
        if focus is not None and focus.is_control(content):
            self._note("control message discarded", "in large message mode", content.message_id)
            return True
        return super()._is_taken(leg, content, now)

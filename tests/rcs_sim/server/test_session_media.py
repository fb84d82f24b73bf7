from __future__ import annotations

from typing import cast

import pytest

from ims_core.reference_points import Bridge, BridgeUser, LegEnd, LegEndKind, MediaAnchor, MediaLeg, MediaLegUser
from ims_core.wire.msrp.message import ByteRange
from ims_core.wire.msrp.session_events import FailureReason, MessageFailed, MessageReceived, Reported
from rcs_sim.server.session_media import SessionMedia

LEG, BRIDGE = cast(MediaLeg, object()), cast(Bridge, object())
END = LegEnd(LegEndKind.LOST, "gone")


class Anchor:
    offers_tls = True
    is_in_service = True

    def leg(self, user: MediaLegUser, *, max_octets: int) -> MediaLeg:
        self.leg_user, self.max_octets = user, max_octets
        return LEG

    def bridge(self, user: BridgeUser) -> Bridge:
        self.bridge_user = user
        return BRIDGE


class User:
    def __init__(self) -> None:
        self.told: list[tuple[object, float]] = []

    def message_received(self, message: MessageReceived, now: float) -> None:
        self.told.append((message, now))
        raise ValueError("a fault")

    def message_sent(self, message_id: str, now: float) -> None:
        self.told.append((message_id, now))

    def message_failed(self, failure: MessageFailed, now: float) -> None:
        self.told.append((failure, now))

    def message_reported(self, report: Reported, now: float) -> None:
        self.told.append(("reported", now))

    def media_ended(self, end: LegEnd, now: float) -> None:
        self.told.append((end, now))

    def message_passed(self, message_id: str, now: float) -> None:
        self.told.append((message_id, now))

    def bridge_ended(self, end: LegEnd, now: float) -> None:
        self.told.append((end, now))


def test_each_call_of_the_anchor_comes_with_the_time_and_is_followed_by_what_it_leads_to() -> None:
    anchor, user, turns = Anchor(), User(), list[int]()
    media = SessionMedia(
        cast(MediaAnchor, anchor), now=lambda: 7.0, after=lambda: turns.append(1), contact_address=lambda: "h:1"
    )
    assert media.offers_tls
    assert media.is_in_service
    assert media.contact_address() == "h:1"
    assert media.leg(user, max_octets=9) is LEG
    assert media.bridge(user) is BRIDGE
    failure = MessageFailed("m", FailureReason.LOST, 481, was_begun=False)
    anchor.leg_user.bound(LEG)
    anchor.leg_user.reported(LEG, Reported("m", 200, ByteRange(1, 1, 1)))
    anchor.leg_user.reported(LEG, Reported("m", 403, ByteRange(1, 1, 1)))
    assert user.told == [("reported", 7.0)]
    user.told.clear()
    turns.clear()
    anchor.leg_user.sent(LEG, "m")
    anchor.leg_user.failed(LEG, failure)
    anchor.leg_user.ended(LEG, END)
    anchor.bridge_user.passed(BRIDGE, "n")
    anchor.bridge_user.bridge_ended(BRIDGE, END)
    assert user.told == [("m", 7.0), (failure, 7.0), (END, 7.0), ("n", 7.0), (END, 7.0)]
    with pytest.raises(ValueError, match="a fault"):
        anchor.leg_user.received(LEG, cast(MessageReceived, None))
    assert len(turns) == 6

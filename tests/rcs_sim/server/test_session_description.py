from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.media import Direction, MediaRefused, MsrpMedia, Setup, offer
from ims_core.wire.msrp.uri import parse_msrp_uri, parse_path
from ims_core.wire.sdp import Origin, SessionDescription
from rcs_sim.server.pager_content import ContentRefused
from rcs_sim.server.session_description import NO_OFFER, LegDescription, read_offer

SDP = "application/sdp"
THEIRS = MsrpMedia(
    host="192.0.2.11",
    port=51001,
    is_tls=False,
    path=parse_path("msrp://192.0.2.11:51001/a1Sess0001;tcp"),
    accept_types=("message/cpim", "application/im-iscomposing+xml"),
    setup=Setup.ACTPASS,
    has_cema=True,
    max_size=5000,
)


class Side:
    """A `MediaSide` that carries nothing."""

    path = parse_msrp_uri("msrp://203.0.113.5:2855/leg1;tcp")

    def __init__(self) -> None:
        self.expected: MsrpMedia | None = None
        self.opened: tuple[MsrpMedia, MsrpMedia, bool] | None = None
        self.is_closed = False

    def media(self, *, is_tls: bool, setup: Setup, like: MsrpMedia | None = None) -> MsrpMedia:
        port = 9 if setup is Setup.ACTIVE else 2855
        media = MsrpMedia(host="203.0.113.5", port=port, is_tls=is_tls, path=(self.path,), setup=setup, has_cema=True)
        if like is None:
            return media
        return replace(media, accept_types=like.accept_types, max_size=like.max_size, direction=like.direction)

    def expect(self, local: MsrpMedia) -> None:
        self.expected = local

    def open(self, local: MsrpMedia, remote: MsrpMedia, *, is_offerer: bool) -> None:
        self.opened = (local, remote, is_offerer)

    def close(self) -> None:
        self.is_closed = True


def sdp(media: MsrpMedia = THEIRS) -> bytes:
    return offer(media, Origin.of(media.host, 3981)).encode()


def described(limit: int = 10_000) -> tuple[Side, LegDescription]:
    side = Side()
    return side, LegDescription(side, 771, limit)


def refusal_of(octets: bytes, content_type: str = SDP) -> int:
    with pytest.raises(ContentRefused) as refused:
        read_offer(content_type, octets)
    return refused.value.status


def test_an_offer_for_another_content_or_of_another_type_is_refused_with_the_status_that_says_so() -> None:
    assert refusal_of(b"x", "text/plain") == 415
    assert refusal_of(b"x") == 400
    assert refusal_of(sdp(replace(THEIRS, accept_types=("text/plain",)))) == 488
    assert refusal_of(sdp().replace(b"m=message 51001", b"m=message 0")) == 488


@given(st.binary(min_size=1, max_size=400))
def test_any_octets_are_an_offer_or_refused(octets: bytes) -> None:
    with pytest.raises(ContentRefused):
        read_offer(SDP, octets)


def test_an_answer_is_passive_with_the_smallest_size_and_the_direction_that_is_left() -> None:
    side, description = described(4000)
    offered = read_offer(SDP, sdp(replace(THEIRS, direction=Direction.SENDONLY)))
    description.check(offered, offers_tls=False)
    _, media = MsrpMedia.of(SessionDescription.parse(description.answer(offered, offered.media)))
    assert (media.setup, media.max_size, media.direction) == (Setup.PASSIVE, 4000, Direction.RECVONLY)
    assert side.opened is not None
    assert side.opened[2] is False


def test_an_answer_has_the_direction_that_the_other_leg_has_left() -> None:
    _, description = described()
    offered = read_offer(SDP, sdp())
    like = replace(THEIRS, direction=Direction.RECVONLY)
    _, media = MsrpMedia.of(SessionDescription.parse(description.answer(offered, like)))
    assert media.direction is Direction.RECVONLY


def test_tls_without_a_listener_for_it_is_488() -> None:
    _, description = described()
    octets = sdp().replace(b"TCP/MSRP", b"TCP/TLS/MSRP").replace(b"msrp://", b"msrps://")
    octets += b"a=fingerprint:SHA-256 " + b":".join([b"00"] * 32) + b"\r\n"
    with pytest.raises(ContentRefused) as refused:
        description.check(read_offer(SDP, octets), offers_tls=False)
    assert refused.value.status == 488
    description.check(read_offer(SDP, octets), offers_tls=True)


def test_an_anchor_between_without_cema_is_488() -> None:
    _, description = described()
    octets = sdp(replace(THEIRS, has_cema=False)).replace(b"c=IN IP4 192.0.2.11", b"c=IN IP4 192.0.2.99")
    with pytest.raises(ContentRefused):
        description.check(read_offer(SDP, octets), offers_tls=False)


def test_an_offer_is_actpass_and_expected_and_its_answer_opens_the_side() -> None:
    side, description = described(4000)
    octets = description.offer(THEIRS, is_tls=False)
    _, media = MsrpMedia.of(SessionDescription.parse(octets))
    assert (media.setup, media.max_size) == (Setup.ACTPASS, 4000)
    assert side.expected is not None
    answered = replace(THEIRS, setup=None)
    remote = description.take_answer(sdp(answered))
    assert remote.path == THEIRS.path
    assert side.opened is not None
    assert side.opened[2] is True
    description.close()
    assert side.is_closed


@pytest.mark.parametrize("octets", [b"", b"v=0", sdp().replace(b"m=message 51001", b"m=message 0")])
def test_an_answer_that_takes_nothing_is_refused(octets: bytes) -> None:
    _, description = described()
    description.offer(THEIRS, is_tls=False)
    with pytest.raises(MediaRefused):
        description.take_answer(octets)


def test_an_offer_without_cema_is_the_next_version_and_its_answer_is_taken() -> None:
    side, description = described()
    first = SessionDescription.parse(description.offer(THEIRS, is_tls=False))
    anchored = replace(THEIRS, setup=Setup.ACTIVE, has_cema=False, host="192.0.2.99")
    with pytest.raises(MediaRefused) as refused:
        description.take_answer(sdp(anchored))
    assert refused.value.is_cema_in_the_way
    again = SessionDescription.parse(description.offer_without_cema())
    assert again.origin == first.origin.next()
    assert not MsrpMedia.of(again)[1].has_cema
    assert MsrpMedia.of(again)[1].path == MsrpMedia.of(first)[1].path
    description.take_answer(sdp(anchored))
    assert side.opened is not None


def test_what_belongs_to_an_offer_is_not_asked_of_an_invite_without_one() -> None:
    _, description = described()
    assert read_offer("", b"") is NO_OFFER
    description.check(NO_OFFER, offers_tls=False)
    with pytest.raises(LocalProtocolError):
        description.answer(NO_OFFER, NO_OFFER.media)
    with pytest.raises(LocalProtocolError):
        description.offer_without_cema()


def test_an_answer_for_other_content_is_refused() -> None:
    _, description = described()
    description.offer(THEIRS, is_tls=False)
    with pytest.raises(MediaRefused):
        description.take_answer(sdp(replace(THEIRS, setup=None, accept_types=("text/plain",))))


def test_the_version_goes_up_by_one_where_something_changes_and_only_there() -> None:
    _, description = described()
    offered = read_offer(SDP, sdp())
    first = SessionDescription.parse(description.answer(offered, offered.media))
    refresh = SessionDescription.parse(description.as_offer)
    assert refresh.origin == first.origin.next()  # actpass, where the answer was passive
    assert SessionDescription.parse(description.as_offer) == refresh
    same = SessionDescription.parse(description.answer_again(SDP, sdp()))
    assert same == first
    description.said(refresh.encode())
    held = description.answer_again(SDP, sdp(replace(THEIRS, direction=Direction.SENDONLY)))
    assert SessionDescription.parse(held).origin == refresh.origin.next()


def test_who_offered_to_be_connected_to_gets_an_answer_and_refreshes_with_the_own_port() -> None:
    side, description = described()
    passive = sdp().replace(b"a=setup:actpass", b"a=setup:passive")
    offered = read_offer(SDP, passive)
    answered = MsrpMedia.of(SessionDescription.parse(description.answer(offered, offered.media)))[1]
    assert (answered.setup, answered.port) == (Setup.ACTIVE, 9)
    assert side.opened is not None
    refresh = MsrpMedia.of(SessionDescription.parse(description.as_offer))[1]
    assert (refresh.setup, refresh.port, refresh.path) == (Setup.ACTPASS, 2855, answered.path)


@pytest.mark.parametrize(
    "octets",
    [
        sdp(replace(THEIRS, path=parse_path("msrp://192.0.2.11:51001/other;tcp"))),
        b"v=0\r\n",
        b"",
    ],
)
def test_a_further_offer_that_is_not_this_session_is_refused(octets: bytes) -> None:
    _, description = described()
    offered = read_offer(SDP, sdp())
    description.answer(offered, offered.media)
    with pytest.raises(ContentRefused):
        description.answer_again(SDP, octets)

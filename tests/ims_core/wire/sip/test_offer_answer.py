"""Whose turn it is to offer (RFC 3264)."""

from __future__ import annotations

import itertools

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.offer_answer import (
    OFFER_ANSWER,
    OFFER_ANSWER_IGNORED,
    Description,
    OfferAnswer,
    OfferInput,
    OfferState,
    carries_description,
    description_of,
)


def test_every_pair_is_in_the_table_or_ignored_or_raises() -> None:
    assert not OFFER_ANSWER.keys() & OFFER_ANSWER_IGNORED
    for state, event in itertools.product(OfferState, OfferInput):
        offers = OfferAnswer()
        offers._state = state
        if (state, event) in OFFER_ANSWER or (state, event) in OFFER_ANSWER_IGNORED:
            offers.step(event)
        else:
            with pytest.raises(LocalProtocolError):
                offers.step(event)
        assert offers.state is OFFER_ANSWER.get((state, event), state)


def test_an_offer_is_refused_with_491_against_ours_and_500_against_theirs() -> None:
    offers = OfferAnswer()
    assert (offers.is_stable, offers.glare_status) == (True, None)
    offers.step(OfferInput.SEND_OFFER)
    assert (offers.is_stable, offers.glare_status) == (False, 491)
    offers.step(OfferInput.REFUSED)
    offers.step(OfferInput.RECEIVE_OFFER)
    assert offers.glare_status == 500
    offers.step(OfferInput.SEND_ANSWER)
    assert offers.is_stable


@pytest.mark.parametrize(
    ("body", "content_type", "carries", "is_whole"),
    [
        (b"v=0", "application/sdp", True, True),
        (b"v=0", "Application/SDP;charset=utf-8", True, True),
        (b"--x", "multipart/mixed;boundary=x", True, False),
        (b"hi", "text/plain", False, False),
        (b"", "application/sdp", False, False),
        (b"v=0", None, False, False),
        (b"v=0", "<<", False, False),
    ],
)
def test_which_bodies_describe_a_session(body: bytes, content_type: str | None, carries: bool, is_whole: bool) -> None:
    request = Request.new("INVITE", "sip:b@h", (), body, content_type)
    assert carries_description(request) is carries
    assert description_of(request) == (Description(body) if is_whole else None)

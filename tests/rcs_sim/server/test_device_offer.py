from __future__ import annotations

import itertools

import pytest

from ims_core.wire.sip.message import Response
from rcs_sim.server.device_offer import OFFER_TRANSITIONS, DeviceOffer, OfferInput, OfferState, verdict_of
from rcs_sim.server.device_registry import Device

_ILLEGAL = {  # a transaction ends once, and its deadline passes once
    (OfferState.LATE, OfferInput.DEADLINE),
    *((OfferState.CLOSED, event) for event in OfferInput),
}


def test_every_pair_is_in_the_table_or_illegal() -> None:
    pairs = set(itertools.product(OfferState, OfferInput))
    assert pairs == set(OFFER_TRANSITIONS) | _ILLEGAL
    assert not set(OFFER_TRANSITIONS) & _ILLEGAL


@pytest.mark.parametrize(
    ("verdict", "statuses"),
    [
        (OfferInput.TAKEN, (200, 202)),
        (OfferInput.ABSENT, (404, 408, 430, 480, 500, 503, 504, 604)),
        (OfferInput.REFUSED, (301, 400, 403, 405, 415, 486, 488, 501, 513, 600, 603)),
    ],
)
def test_what_a_status_means(verdict: OfferInput, statuses: tuple[int, ...]) -> None:
    assert {verdict_of(status) for status in statuses} == {verdict}


class Keeper:
    def __init__(self) -> None:
        self.told: list[str] = []

    def taken(self, offer: DeviceOffer, now: float) -> None:
        self.told.append("taken")

    def absent(self, offer: DeviceOffer, status: int, now: float) -> None:
        self.told.append(f"absent {status}")

    def refused(self, offer: DeviceOffer, status: int, response: Response | None, now: float) -> None:
        self.told.append(f"refused {status}")

    def settled(self, offer: DeviceOffer, now: float) -> None:
        self.told.append("settled")


def test_a_late_answer_counts_only_if_it_is_good() -> None:
    for status, then in ((200, "taken"), (480, "settled"), (415, "settled")):
        keeper = Keeper()
        offer = DeviceOffer(keeper, Device("urn:x", 0.0), 0.0)
        offer.expired(20.0)
        assert offer.is_over
        offer.finished(status, None, 25.0)
        assert keeper.told == ["absent 408", then]
        with pytest.raises(KeyError):
            offer.finished(status, None, 26.0)

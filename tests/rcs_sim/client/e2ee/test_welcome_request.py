from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.welcome_request import is_stamped
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import (
    DeafToRequests,
    count_notes,
    engine_of,
    mls_of,
    pair_locked,
    reinstalled,
)


@scenario("two-carriers")
async def test_requests_are_bounded_on_both_sides(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    mls_of(alice)._failures._readmission = DeafToRequests()
    await reinstalled(bob)
    for number in range(20):
        bob.chat(ALICE).send(f"again and again {number}")
        await asyncio.sleep(25)
    assert count_notes(stage, bob, "Welcome asked for") <= 4
    await asyncio.sleep(86_400)
    for number in range(20):
        bob.chat(ALICE).send(f"the day after {number}")
        await asyncio.sleep(25)
    assert count_notes(stage, bob, "Welcome asked for") <= 8
    assert readable(stage, "again and again") == readable(stage, "the day after") == []


@scenario("two-carriers")
async def test_a_request_is_reason_13_about_nothing_with_the_stamp_of_the_focus(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    heard: list[tuple[Imdn, MlsHeaders]] = []
    mls_of(alice)._failures._readmission = _Listening(heard)
    state = engine_of(alice, BOB).identifier
    assert state is not None
    await reinstalled(bob)
    bob.chat(ALICE).send("knock, knock")
    await asyncio.sleep(20)
    ((imdn, headers),) = heard
    assert (imdn.kind, imdn.status, imdn.client_failure_reason) == (
        ImdnKind.DELIVERY,
        ImdnStatus.FAILED,
        ClientFailureReason.CONTROL_MESSAGE_FAILED,
    )
    assert (headers.era_id, headers.epoch_authenticator) == (state.era_id, state.epoch_authenticator)
    assert not headers.signature


class _Listening:
    """Keeps what it is asked."""

    def __init__(self, heard: list[tuple[Imdn, MlsHeaders]]) -> None:
        self._heard = heard

    def asked(self, _thread: object, _sender: str, cpim: CpimMessage) -> bool:
        self._heard.append((Imdn.parse(cpim.body), MlsHeaders.of(cpim)))
        return True


def test_a_stamp_is_era_and_authenticator() -> None:
    state = EpochIdentifier(2, 7, bytes(32))
    assert is_stamped(state, EpochIdentifier(2, 0, bytes(32)))
    assert not is_stamped(state, EpochIdentifier(1, 7, bytes(32)))
    assert not is_stamped(state, EpochIdentifier(2, 7, b"x" * 32))

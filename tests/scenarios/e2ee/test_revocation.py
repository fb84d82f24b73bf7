"""Certificates that are revoked after a lock was set (RCC.16 digest §2.6, §3.5)."""

from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.revocations import REFRESH_S
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.scenario.key_service import KeyService
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, focus_fault, locked, mls_of, notes, rekey
from tests.support.lives.plan import LifePlan
from tests.support.lives.verbs import Step
from tests.support.lives.verdict import live


def _service(stage: Stage, carrier: str) -> KeyService:
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    return service


def _serial(phone: Phone, place: int = 0) -> bytes:
    setting = mls_of(phone).credentials.setting
    assert setting is not None
    return read_certificate(setting.identity.chain[place]).serial


async def _revoked(stage: Stage, *serials: bytes) -> None:
    """Both operators list them, and a day later every phone knows."""
    for carrier in ("red", "blue"):
        await _service(stage, carrier).listener.revoke(serials)
    await asyncio.sleep(REFRESH_S + 60)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_revoked_device_gets_another_certificate_and_the_lock_goes_on(stage: Stage) -> None:
    alice, bob = await locked(stage)
    before = _serial(bob)
    await _revoked(stage, before)
    assert _serial(bob) != before
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = await phone.chat(peer).send(f"from {phone.name}, after")
        await message.delivered(within_s=600)
        assert message.scheme is Scheme.MLS
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        group = engine_of(phone, peer).group
        assert group is not None
        assert not group.revoked, notes(stage, phone)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert readable(stage, ", after") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_nothing_is_sealed_for_a_peer_whose_authority_is_revoked_and_nothing_goes_in_clear(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await _revoked(stage, _serial(bob, 1))
    message = await alice.chat(BOB).send("not for him any more")
    await asyncio.sleep(3600)
    assert message.state is MessageState.FAILED, message
    assert alice.chat(BOB).label == LOCKED
    assert readable(stage, "not for him") == []
    assert any("certificate revoked" in note for note in notes(stage, alice))
    assert "not for him any more" not in texts(bob)


@scenario("two-carriers", is_read_by_others=False)
async def test_what_a_revoked_device_still_says_is_not_shown_and_its_receipts_count_for_nothing(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for carrier in ("red",):  # blue's phones do not know yet
        await _service(stage, carrier).listener.revoke([_serial(bob)])
    await asyncio.sleep(REFRESH_S + 60)
    shown = texts(alice)
    await bob.chat(ALICE).send("from the thief")
    await asyncio.sleep(5)
    assert texts(alice) == shown
    assert any("revoked" in note for note in notes(stage, alice))
    assert readable(stage, "from the thief") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_without_a_list_or_with_a_forged_or_an_old_one_what_was_known_stays(stage: Stage) -> None:
    alice, bob = await locked(stage)
    red, blue = _service(stage, "red"), _service(stage, "blue")
    held = mls_of(alice).credentials._revocations
    await red.listener.revoke([b"\x01"])
    await asyncio.sleep(REFRESH_S + 60)
    assert held.serials == {b"\x01"}
    for listed in (
        blue.plan.pki.crl_der(int(stage.sim.clock.now()), (_serial(bob),)),  # of another vendor's root
        red.plan.pki.crl_der(int(stage.sim.clock.now()) - 86_400 * 3, ()),  # an old one, played again
        red.plan.pki.crl_der(int(stage.sim.clock.now()) + 86_400 * 9, ()),  # of next week
        b"\x30\x00",
        b"not even DER",
    ):
        red.server.fault = KdsFault(revocation_list=listed)
        await asyncio.sleep(REFRESH_S + 60)
        assert held.serials == {b"\x01"}
    red.server.fault = KdsFault(is_down=True)
    await asyncio.sleep(9 * REFRESH_S)
    assert "stale" in stage.states(alice, "revocation list")
    assert held.serials == {b"\x01"}
    red.server.fault = KdsFault()
    message = await alice.chat(BOB).send("we are still locked")
    await message.delivered(within_s=600)
    assert message.scheme is Scheme.MLS
    await red.listener.revoke([])
    await asyncio.sleep(REFRESH_S + 60)
    assert held.serials == frozenset()


@scenario("two-carriers", is_read_by_others=False)
async def test_who_has_another_certificate_is_trusted_again_in_the_same_group(stage: Stage) -> None:
    """Also by somebody who has looked at him before it came."""
    alice, bob = await locked(stage)
    await bob.power_off()
    await _revoked(stage, _serial(bob))
    refused = alice.chat(BOB).send("not to the thief")
    await asyncio.sleep(600)
    assert refused.state is MessageState.FAILED
    await bob.power_on()
    await asyncio.sleep(3600)
    group = engine_of(alice, BOB).group
    assert group is not None
    assert not group.revoked, notes(stage, alice)
    message = await alice.chat(BOB).send("to the owner")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier
    assert readable(stage, "to the") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_what_the_other_carrier_revokes_reaches_our_phones_and_our_focus(stage: Stage) -> None:
    """Nobody has filled our own list for it; and what it lists of ours counts for nothing."""
    alice, bob = await locked(stage)
    ours = [_serial(alice), _serial(alice, 1)]
    await bob.power_off()
    listed = _serial(bob)
    await _service(stage, "blue").listener.revoke([listed, *ours])
    await asyncio.sleep(REFRESH_S + 7200)
    group = engine_of(alice, BOB).group
    assert group is not None
    assert set(group.revoked.values()) == {BOB[1:]}
    assert _service(stage, "red").server.anchors.revoked_serials == ()
    refused = alice.chat(BOB).send("not for the thief")
    rekey(alice, BOB)
    await asyncio.sleep(600)
    assert refused.state is MessageState.FAILED
    assert any(one.startswith("refused: expired-credential") for one in notes(stage, alice)), notes(stage, alice)
    await _service(stage, "blue").listener.revoke([listed])
    await bob.power_on()
    await asyncio.sleep(3600)
    message = await alice.chat(BOB).send("for the owner")
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert readable(stage, "for the") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_an_end_that_is_refused_because_of_an_own_certificate_lands_when_there_is_another(stage: Stage) -> None:
    """Random life `all` 20000: encryption had ended for one side alone, and the other could never write again."""
    alice, bob = await locked(stage)
    for carrier in ("red", "blue"):
        await _service(stage, carrier).listener.revoke([_serial(alice)])
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(1800)
    assert (alice.chat(BOB).label, bob.chat(ALICE).label) == ("RCS", LOCKED)
    await asyncio.sleep(REFRESH_S + 7200)
    first = bob.chat(ALICE).send("written under a lock")
    await asyncio.sleep(300)
    assert (alice.chat(BOB).label, bob.chat(ALICE).label) == ("RCS", "RCS"), notes(stage, bob)
    assert first.state is MessageState.FAILED
    await (await bob.chat(ALICE).send("in clear, as both know")).delivered(within_s=60)
    assert readable(stage, "under a lock") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_a_second_certificate_gets_in_though_nobody_said_what_became_of_the_first(stage: Stage) -> None:
    """Random life `all` 51084: the network of the focus was away for that time, and every later text failed."""
    alice, bob = await locked(stage)
    focus_fault(stage, is_silent=True)
    first = _serial(alice)
    await _revoked(stage, first)
    await _revoked(stage, first, _serial(alice))
    assert "not repaired: " in notes(stage, alice), notes(stage, alice)
    focus_fault(stage)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = await phone.chat(peer).send(f"from {phone.name}, after the silence")
        await message.delivered(within_s=600)
        assert message.scheme is Scheme.MLS
    assert readable(stage, "after the silence") == []


@scenario("two-carriers", is_read_by_others=False)
async def test_an_end_that_was_refused_is_forgotten_when_its_user_wants_the_lock_back(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for carrier in ("red", "blue"):
        await _service(stage, carrier).listener.revoke([_serial(alice)])
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(1800)
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(REFRESH_S + 7200)
    alice.chat(BOB).revive_encryption()
    await asyncio.sleep(600)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED, notes(stage, alice)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        await (await phone.chat(peer).send("sealed again")).delivered(within_s=600)


def test_a_revocation_outlives_the_key_service_so_that_both_carriers_go_on_listing_it() -> None:
    """Or else the phone with the certificate never learns of it, and the other side waits for it to get another."""
    steps = (
        Step("send", "alice", "ben", "", (("number", 3),), 4000.0),
        Step("revoke", "alice3", "", "", (), 31.0),
        Step("kill carrier", "red", "", "", (("down_s", 40.0),), 1.0),
    )
    carriers = {"red": ("rcc16-strict", {}), "blue": ("rcc16-strict", {})}
    devices = {"alice": "android", "alice3": "android", "ben": "android"}
    assert list(live(LifePlan("all", 30012, carriers, devices, steps)).violations) == []

"""How the focus's copies get out: tried again with longer pauses, and for some hours (§14.4)."""

from __future__ import annotations

from ims_core.store.mls_conversations import StoredFanOut
from rcs_sim.server.mls_conversation import pair_of
from rcs_sim.server.mls_delivery import MlsDelivery
from tests.rcs_sim.server.focus_network import ZOE, FocusLab, Said
from tests.rcs_sim.server.messaging_lab import BOB

PAIR = pair_of(BOB[1:], ZOE[1:])


def fanned_out(lab: FocusLab, *control_ids: str) -> list[tuple[str, bool]]:
    """Bob's copies are nobody's: he has one device, which asked. What was settled."""
    settled: list[tuple[str, bool]] = []
    terminating = lab.core._terminating
    delivery = MlsDelivery(lab.core.context, terminating)
    for control_id in control_ids:
        fan_out = StoredFanOut(BOB[1:], PAIR, control_id, "conversation", b"\x0a\x00", 1, bytes(32), 0)
        delivery.fan_out(PAIR, fan_out, "", lambda member, done, _now: settled.append((member, done)), lab.now)
    lab.run(lab.core.context.outbox.take(lab.now))
    return settled


def test_who_asked_needs_no_copy_and_the_other_gets_one_in_the_conversation() -> None:
    lab = FocusLab()
    lab.registered(BOB)
    settled = fanned_out(lab, "a")
    assert settled == [(BOB[1:], True)]
    sent = lab.take_one()
    assert sent.request.text("Conversation-ID") == "conversation"
    lab.answer(sent)
    assert settled == [(BOB[1:], True), (ZOE[1:], True)]


def test_pauses_double_and_end() -> None:
    lab = FocusLab()
    settled = fanned_out(lab, "a")
    settled.clear()
    pause_s, count = lab.config.redeliver_min_s, 0
    while not settled:
        sent = [each for each in lab.take() if each.request.request_uri_text == f"tel:{ZOE}"]
        assert len(sent) == 1
        count += 1
        lab.answer(sent[0], 503)
        lab.advance(min(pause_s, 1800.0) - 1)
        assert lab.take() == []
        lab.advance(1)
        pause_s *= 2
    assert (count, settled) == (16, [(ZOE[1:], False)])


def test_the_second_copy_waits_for_the_first() -> None:
    lab = FocusLab()
    fanned_out(lab, "a", "b")
    first = lab.take_one()
    assert Said.of(first).cpim.message_id == "a"
    lab.answer(first, 404)
    assert Said.of(lab.take_one()).cpim.message_id == "b"


def test_a_number_that_is_no_longer_ours_has_no_focus_here() -> None:
    lab = FocusLab()
    del lab.sh.users[f"tel:{BOB}"]
    assert (ZOE[1:], False) in fanned_out(lab, "a")

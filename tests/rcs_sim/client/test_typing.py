from __future__ import annotations

from rcs_sim.client.typing import TypingReceiver, TypingSender, TypingSignal


def test_typing_goes_active_once_refreshes_at_60_s_and_idles_after_15_s_i09() -> None:
    sender = TypingSender(15, 60)
    assert sender.key_pressed(0) is TypingSignal.ACTIVE
    signals = [sender.key_pressed(t) for t in range(1, 61)]
    assert signals == [None] * 59 + [TypingSignal.ACTIVE]
    assert sender.next_deadline() == 75
    assert sender.handle_deadline(74.9) is None
    assert sender.handle_deadline(75) is TypingSignal.IDLE
    assert sender.next_deadline() is None


def test_a_sent_message_ends_typing_without_a_signal() -> None:
    sender = TypingSender(15, 60)
    sender.key_pressed(0)
    sender.message_sent()
    assert not sender.is_active
    assert sender.handle_deadline(100) is None


def test_a_refresh_interval_below_60_s_is_raised() -> None:
    assert TypingSender(15, 5).refresh_s == 60


def test_the_receiver_clears_typing_after_the_refresh_time_i10() -> None:
    receiver = TypingReceiver()
    assert receiver.active(60, 0)
    assert not receiver.active(60, 30)
    assert receiver.next_deadline() == 90
    assert not receiver.handle_deadline(89)
    assert receiver.handle_deadline(90)
    assert not receiver.is_typing


def test_content_clears_typing_i10() -> None:
    receiver = TypingReceiver()
    receiver.active(None, 0)
    assert receiver.next_deadline() == 120
    assert receiver.ended()
    assert not receiver.ended()

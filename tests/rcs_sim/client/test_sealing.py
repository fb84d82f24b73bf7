from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from ims_core.trace import Trace
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.delivery import Delivery
from rcs_sim.client.display import Display
from rcs_sim.client.encryption import (
    Encryption,
    NotSealed,
    Scheme,
    SealDecision,
    SealedContent,
    SealStep,
)
from rcs_sim.client.fallback import FallbackReason, Route, RouteDecision
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_rules import delivery_rules
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.sealing import anew, held_or_refused, is_spent, must_stay_sealed, seal, sealing_of, with_room
from tests.support.stub_core import ALICE, device, subscriber

_BUSY = SealDecision(SealStep.WAIT, FallbackReason.ENCRYPTION_BUSY)
_SEALED = SealedContent(b"sealed", "message/mls", (), Scheme.MLS, ("negative-delivery",))


class _Encryption:
    """Answers what it is told to."""

    def __init__(self, decision: SealDecision, seals: Callable[[], SealedContent]) -> None:
        self._decision, self._seals = decision, seals

    def decide(self, _conversation: Conversation, *, may_wait: bool) -> SealDecision:
        return self._decision

    def seal(self, _message: SentMessage) -> SealedContent:
        return self._seals()


def _encryption(decision: SealDecision = _BUSY, seals: Callable[[], SealedContent] = lambda: _SEALED) -> Encryption:
    return cast(Encryption, _Encryption(decision, seals))


def _message(*, is_marked: bool = False) -> SentMessage:
    conversation = Conversation(ContactKey("+12025550102"), "c1")
    conversation.is_encrypted = is_marked
    rules = delivery_rules(subscriber(ALICE), device("android"))
    delivery = Delivery(rules, lambda low, high: low, 0.0, may_fall_back=True)
    return SentMessage(conversation, "m1", "k1", "Hi", "", delivery, lambda message: None, has_report=False)


def _display() -> Display:
    return Display("alice", cast(Any, None), Trace())


@pytest.mark.parametrize(("is_marked", "step"), [(True, SealStep.REFUSE), (False, SealStep.PLAIN)])
def test_who_has_waited_enough_is_refused_where_a_lock_is_shown(is_marked: bool, step: SealStep) -> None:
    message = _message(is_marked=is_marked)
    assert sealing_of(message, _encryption()) == _BUSY
    message.delivery.has_waited_enough = True
    assert sealing_of(message, _encryption()).step is step


@pytest.mark.parametrize(("is_marked", "step"), [(True, SealStep.REFUSE), (False, SealStep.PLAIN)])
def test_without_encryption_only_what_shows_no_lock_goes_in_clear(is_marked: bool, step: SealStep) -> None:
    assert sealing_of(_message(is_marked=is_marked), None).step is step


def test_what_was_sealed_stays_sealed() -> None:
    message = _message()
    assert seal(message, _encryption(), _display()).route is Route.RCS
    assert (message.sealed, message.scheme, message.label) == (_SEALED, Scheme.MLS, "RCS · encrypted")
    assert sealing_of(message, None).step is SealStep.SEAL
    assert seal(message, None, _display()).route is Route.RCS


@pytest.mark.parametrize("has_encryption", [True, False])
def test_what_cannot_be_sealed_is_refused_and_never_falls_back(has_encryption: bool) -> None:
    def fails() -> SealedContent:
        raise NotSealed("no group", FallbackReason.NO_ENCRYPTION_STATE)

    message = _message()
    decision = seal(message, _encryption(seals=fails) if has_encryption else None, _display())
    assert decision.route is Route.REFUSE
    assert message.sealed is None
    assert not message.delivery.may_fall_back


def test_nothing_holds_what_is_sealed_or_plain() -> None:
    assert held_or_refused(SealDecision(SealStep.SEAL)) is None
    assert held_or_refused(SealDecision(SealStep.PLAIN)) is None
    held = held_or_refused(_BUSY)
    assert held is not None
    assert (held.route, held.reason) == (Route.HOLD, FallbackReason.ENCRYPTION_BUSY)


def test_what_was_written_under_a_lock_or_sealed_once_must_stay_sealed() -> None:
    fresh, marked, sealed = _message(), _message(is_marked=True), _message()
    marked.conversation.is_encrypted = False  # the lock has gone since
    sealed.sealed, sealed.sealed = _SEALED, None  # and is to be sealed anew
    assert [must_stay_sealed(each) for each in (fresh, marked, sealed)] == [False, True, True]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (FallbackReason.NOT_DECRYPTED, True),
        (FallbackReason.ENCRYPTION_REFUSED, True),
        (FallbackReason.NO_ENCRYPTION_STATE, False),
    ],
)
def test_what_has_arrived_in_vain_is_spent_once_it_has_failed(reason: FallbackReason, expected: bool) -> None:
    message = _message()
    message.sealed = _SEALED
    assert not is_spent(message)
    message.delivery.not_sealed(reason, 0.0)
    assert is_spent(message) is expected


def test_what_is_sealed_anew_has_another_id_on_the_wire_and_keeps_its_lock() -> None:
    message = _message()
    message.sealed = _SEALED
    assert anew(message, "another id") == "another id"
    assert (message.sealed, message.cpim, message.wire_id) == (None, b"", "another id")
    assert (message.id != "another id", message.scheme, must_stay_sealed(message)) == (True, Scheme.MLS, True)
    assert not is_spent(message)


def test_what_went_out_in_clear_gets_no_lock_afterwards() -> None:
    message = _message()
    message.went_in_clear = True
    decision = sealing_of(message, _encryption(SealDecision(SealStep.SEAL)))
    assert decision == SealDecision(SealStep.REFUSE, FallbackReason.WENT_IN_CLEAR)


def test_the_seventeenth_message_of_a_conversation_that_converges_is_refused() -> None:
    held = RouteDecision(Route.HOLD, FallbackReason.CONVERGING)
    elsewhere, waiting = [_message() for _ in range(40)], [_message() for _ in range(16)]
    for message in waiting[1:]:
        message.conversation = waiting[0].conversation
    for message in (*elsewhere, *waiting):
        message.delivery.start(held, 0.0)
    late = _message()
    late.conversation = waiting[0].conversation
    assert with_room(held, late, [*elsewhere, *waiting[1:]]) is held
    refused = with_room(held, late, [*elsewhere, *waiting])
    assert (refused.route, refused.reason) == (Route.REFUSE, FallbackReason.TOO_MANY_WAIT)
    assert with_room(held, waiting[3], waiting) is held  # it has its place already
    busy = RouteDecision(Route.HOLD, FallbackReason.ENCRYPTION_BUSY)
    assert with_room(busy, late, waiting) is busy

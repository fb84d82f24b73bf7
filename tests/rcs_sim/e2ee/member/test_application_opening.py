"""What an opened message has to fit (RCC.16 §7.5.1, §7.5.3, §7.9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.member.application_opening import (
    Envelope,
    OpenRefusal,
    RefusalKind,
    Unsealed,
    read_private_message,
)
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.mls.messages import PrivateMessage
from tests.support.member_devices import ALICE, BOB, established, make_member


def _groups() -> tuple[EncryptedGroup, EncryptedGroup]:
    talk = established(make_member(ALICE), make_member(BOB))
    first, second = (each.conversation.group for each in talk.devices)
    assert first is not None
    assert second is not None
    return first, second


def _opened(
    payload: bytes, bound: bytes, *, message_id: str = "m1", sender: str = ALICE, named: str = ""
) -> Unsealed | OpenRefusal:
    alice, bob = _groups()
    message = alice.group.seal(payload, alice.setting.random, authenticated_data=bound).body
    assert isinstance(message, PrivateMessage)
    envelope = Envelope(message_id=message_id, asserted_sender=sender, era=1, named_sender=named)
    before = bob.group.state.secret_tree.encode()
    result = bob.open(message, envelope)
    assert bob.group.state.secret_tree.encode() == before  # nothing is used up yet
    return result


_PAYLOAD = SecretPayload(0, text_entity("hello").encode()).encode()
_BOUND = AuthenticatedData("m1", 1).encode()


@pytest.mark.parametrize("bound", [_BOUND, b"", b"\x00\x01\x18", b"\x00\x02\x00"])
def test_a_message_bound_to_its_envelope_or_to_nothing_readable_opens(bound: bytes) -> None:
    assert isinstance(_opened(_PAYLOAD, bound), Unsealed)


@pytest.mark.parametrize(
    ("payload", "bound", "sender", "kind", "reason"),
    [
        (_PAYLOAD, AuthenticatedData("m2", 1).encode(), ALICE, RefusalKind.BAD_BINDING, None),
        (_PAYLOAD, AuthenticatedData("m1", 7).encode(), ALICE, RefusalKind.BAD_BINDING, None),
        (_PAYLOAD, _BOUND, BOB, RefusalKind.IMPERSONATION, None),
        (SecretPayload(1, b"").encode(), _BOUND, ALICE, RefusalKind.KEY_GENERATION, "failed-to-decrypt"),
        (SecretPayload(0, b"", 4).encode(), _BOUND, ALICE, RefusalKind.UNKNOWN_PAYLOAD, None),
        (b"no payload", _BOUND, ALICE, RefusalKind.UNKNOWN_PAYLOAD, None),
    ],
)
def test_a_message_that_does_not_fit_is_refused_by_kind(
    payload: bytes, bound: bytes, sender: str, kind: RefusalKind, reason: str | None
) -> None:
    refused = _opened(payload, bound, sender=sender)
    assert isinstance(refused, OpenRefusal)
    assert (refused.kind, refused.reason) == (kind, reason)


def test_an_own_number_counts_where_the_network_can_assert_only_the_other() -> None:
    envelope = Envelope(message_id="m1", asserted_sender=BOB, era=1, named_sender=ALICE)
    assert envelope.may_be_from(ALICE, ALICE)
    assert envelope.may_be_from(BOB, ALICE)
    assert not envelope.may_be_from(ALICE, BOB)
    assert not envelope.may_be_from("", ALICE)
    from_log = Envelope(message_id="m1", asserted_sender="", era=1, is_from_log=True)
    assert from_log.may_be_from(BOB, ALICE)
    assert not from_log.may_be_from("", ALICE)


def test_a_key_is_used_up_by_what_is_shown() -> None:
    alice, bob = _groups()
    message = alice.group.seal(_PAYLOAD, alice.setting.random, authenticated_data=_BOUND).body
    assert isinstance(message, PrivateMessage)
    envelope = Envelope(message_id="m1", asserted_sender=ALICE, era=1)
    first = bob.open(message, envelope)
    assert isinstance(first, Unsealed)
    first.consume(bob.group)
    again = bob.open(message, envelope)
    assert isinstance(again, OpenRefusal)
    assert again.kind is RefusalKind.UNDECRYPTABLE


_BOB = _groups()[1]


@given(st.binary(max_size=300))
def test_any_octets_are_no_message_of_this_group(octets: bytes) -> None:
    assert isinstance(read_private_message(octets, _BOB.group), OpenRefusal)

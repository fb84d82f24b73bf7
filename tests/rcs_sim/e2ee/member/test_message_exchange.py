"""Messages sealed once, opened once, parked (RCC.16 §6.1.1, §7.5, §10.3)."""

from __future__ import annotations

from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal, RefusalKind
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup, Sealed
from rcs_sim.e2ee.member.message_exchange import MessageExchange, OpenResult, Parked
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.seen_messages import Opened
from tests.support.member_devices import ALICE, BOB, NOW_S, established, make_member

_BOTH = frozenset({ALICE, BOB})


def _groups() -> tuple[EncryptedGroup, EncryptedGroup]:
    talk = established(make_member(ALICE), make_member(BOB))
    first, second = (each.conversation.group for each in talk.devices)
    assert first is not None
    assert second is not None
    return first, second


def _open(
    exchange: MessageExchange, group: EncryptedGroup | None, sealed: Sealed, *, parks: bool = False
) -> OpenResult:
    envelope = Envelope(message_id=sealed.message_id, asserted_sender=ALICE, era=sealed.state.era_id)
    return exchange.open(group, sealed.octets, envelope, NOW_S, participants=_BOTH, parks=parks)


def test_what_was_sealed_can_be_sent_again_as_it_is_for_a_while() -> None:
    group, _ = _groups()
    exchange = MessageExchange()
    first = exchange.seal(group, text_entity("0"), "m0")
    for number in range(1, 32):
        exchange.seal(group, text_entity(str(number)), f"m{number}")
    assert exchange.find_sealed("m0") is first
    exchange.seal(group, text_entity("32"), "m32")
    assert exchange.find_sealed("m0") is None
    exchange.forget_all_sealed()
    assert exchange.find_sealed("m32") is None


def test_in_transition_everything_is_parked_before_it_is_decrypted() -> None:
    alice, bob = _groups()
    exchange = MessageExchange()
    sealed = alice.seal(text_entity("hello"), "m1")
    assert _open(exchange, bob, sealed, parks=True) == Parked(Moment(1, 1))
    (ready,) = exchange.take_ready(bob.moment)
    assert ready.octets == sealed.octets
    assert isinstance(_open(exchange, bob, sealed), Opened)


def test_a_message_of_another_group_is_not_ours_unless_its_era_is_to_come() -> None:
    alice, _ = _groups()
    other = established(make_member(ALICE), make_member(BOB)).devices[1].conversation.group
    assert other is not None
    sealed = alice.seal(text_entity("hello"), "m1")
    group_id = alice.group_id
    elsewhere = Sealed("m1", sealed.octets.replace(group_id, b"x" + group_id[1:]), sealed.state)
    refused = _open(MessageExchange(), other, elsewhere)
    assert isinstance(refused, OpenRefusal)
    assert refused.kind is RefusalKind.NOT_FOR_US


def test_exchanges_survive_their_octets() -> None:
    alice, bob = _groups()
    exchange = MessageExchange()
    sealed = exchange.seal(alice, text_entity("hello"), "m1")
    _open(exchange, None, alice.seal(text_entity("parked"), "m2"))
    _open(exchange, bob, alice.seal(text_entity("seen"), "m3"))
    again = MessageExchange.decode(exchange.encode())
    assert again.encode() == exchange.encode()
    assert again.find_sealed("m1") == sealed
    assert again.overdue(NOW_S + 3) == exchange.overdue(NOW_S + 3)
    assert again.known("m3") == exchange.known("m3")

"""Results of before (RCC.16 §7.5.3.1)."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.seen_messages import Opened, SeenMessages
from rcs_sim.mls.identifiers import LeafIndex
from tests.support.member_devices import ALICE


def _opened(message_id: str, text: str = "hello") -> Opened:
    content = text_entity(text).encode()
    return Opened(message_id=message_id, content=content, sender=ALICE, leaf=LeafIndex(1), moment=Moment(1, 2))


def test_a_result_is_given_again_as_a_replay() -> None:
    seen = SeenMessages()
    seen.add(_opened("m1"))
    assert seen.find("m1") == replace(_opened("m1"), is_replay=True)
    assert "m2" not in seen
    assert seen.find("m2") is None


def test_contents_give_way_before_ids_and_both_are_bounded() -> None:
    seen = SeenMessages()
    for number in range(5000):
        seen.add(_opened(f"m{number}"))
    assert seen.find("m4999") is not None
    assert seen.find("m4900") is None
    assert "m4900" in seen
    assert "m0" not in seen


def test_a_long_content_is_known_by_its_id_only() -> None:
    seen = SeenMessages()
    seen.add(_opened("long", "x" * 70_000))
    assert "long" in seen
    assert seen.find("long") is None


def test_a_content_that_cannot_be_parsed_says_so() -> None:
    assert _opened("m1").entity.text == "hello"
    assert _opened("m1").is_readable
    broken = replace(_opened("m1"), content=b"\r\nno header at all\r\n\r\nbody")
    assert not broken.is_readable


def test_results_survive_their_octets() -> None:
    seen = SeenMessages()
    for number in range(100):
        seen.add(_opened(f"m{number}"))
    again = SeenMessages.decode(seen.encode())
    assert again.encode() == seen.encode()
    assert again.find("m99") == seen.find("m99")
    assert again.find("m1") is None
    assert "m1" in again

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.tokens import Tokens


def _draw(tokens: Tokens) -> tuple[object, ...]:
    return tokens.word(), tokens.octets(8), tokens.uuid(), tokens.number(1, 100), tokens.uniform(0, 1)


def test_the_same_seed_repeats_and_others_differ() -> None:
    assert _draw(Tokens("7")) == _draw(Tokens("7"))
    assert _draw(Tokens("7")) != _draw(Tokens("8"))
    assert _draw(Tokens()) != _draw(Tokens())


def test_children_are_independent_of_each_other_and_of_what_was_drawn() -> None:
    parent = Tokens("7")
    expected = _draw(parent.child("alice"))
    _draw(parent)
    assert _draw(parent.child("alice")) == expected
    assert _draw(parent.child("bob")) != expected


def test_words_are_sip_tokens_of_enough_randomness_and_uuids_are_of_version_4() -> None:
    tokens = Tokens("7")
    words = {tokens.word() for _ in range(1000)}
    assert len(words) == 1000
    assert all(len(word) == 20 and word.isalnum() and word == word.lower() for word in words)
    assert uuid.UUID(tokens.uuid()).version == 4
    assert tokens.octets(0) == b""


@given(st.text(max_size=8))
def test_a_uuid_is_that_of_the_octets_that_would_have_been_next(seed: str) -> None:
    expected = uuid.UUID(bytes=Tokens(seed).octets(16), version=4)
    assert Tokens(seed).uuid() == str(expected)


def test_numbers_stay_in_their_range_and_fill_it() -> None:
    tokens = Tokens("7")
    assert {tokens.number(5, 9) for _ in range(200)} == {5, 6, 7, 8, 9}
    assert tokens.number(3, 3) == 3
    drawn = [tokens.uniform(2.0, 4.0) for _ in range(2000)]
    assert 2.0 <= min(drawn) < 2.05
    assert 3.95 < max(drawn) < 4.0
    assert 2.9 < sum(drawn) / len(drawn) < 3.1


def test_long_draws_are_the_stream_itself() -> None:
    whole, pieces = Tokens("7").octets(1000), Tokens("7")
    assert b"".join(pieces.octets(count) for count in (1, 63, 64, 65, 807)) == whole
    assert len(Tokens().octets(1000)) == 1000

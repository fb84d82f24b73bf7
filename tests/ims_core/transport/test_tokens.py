from __future__ import annotations

import uuid

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
    assert all(len(word) == 16 and word.isalnum() and word == word.lower() for word in words)
    assert uuid.UUID(tokens.uuid()).version == 4
    assert tokens.octets(0) == b""

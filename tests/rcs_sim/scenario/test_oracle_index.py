"""Many texts are searched for at once: nothing that stands there is missed, nothing else is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.scenario.oracle_encodings import TextEncoding, patterns_of
from rcs_sim.scenario.oracle_index import TextIndex, is_distinctive

_TEXTS = ["meet me at the old harbour", "the boat leaves at eight", "Grüße aus Köln am Rhein"]


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("before", range(9))
def test_a_text_is_found_in_every_form_and_at_every_place(text: str, before: int) -> None:
    index = TextIndex(_TEXTS)
    for pattern in patterns_of(text):
        found = index.find(bytes(before) + pattern.octets + b"\x00\x00\x00")
        assert [each.text for each in found] == [text]


def test_what_a_text_was_written_as_is_told() -> None:
    index = TextIndex(_TEXTS)
    assert index.find(_TEXTS[0].encode())[0].encoding is TextEncoding.UTF_8
    assert index.find(b"".join(b"\0" + bytes([octet]) for octet in _TEXTS[0].encode()))[0].encoding == "UCS-2"
    assert index.find(b"") == []
    assert TextIndex([]).find(b"anything at all") == []


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_it_is_found_between_any_octets(before: bytes, after: bytes) -> None:
    found = TextIndex(_TEXTS).find(before + _TEXTS[1].encode() + after)
    assert _TEXTS[1] in {each.text for each in found}


@given(st.binary(max_size=400))
def test_nothing_is_found_in_octets_that_have_none_of_it(octets: bytes) -> None:
    found = {each.text for each in TextIndex(_TEXTS).find(octets)}
    assert found == {text for text in _TEXTS if any(pattern.octets in octets for pattern in patterns_of(text))}


def test_texts_that_share_all_but_a_number_are_told_apart() -> None:
    texts = [f"this is message {number:05d} of a long run of messages that are all alike" for number in range(500)]
    index = TextIndex(texts)
    searched = [text for text in texts if text not in index.not_searched]
    assert index.not_searched <= set(texts)
    for text in searched[::50]:
        assert [each.text for each in index.find(b"\r\n\r\n" + text.encode())] == [text]
    numbered = [f"message number {number:05d}" for number in range(500)]
    assert TextIndex(numbered).not_searched == set()


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ok", False),
        ("text/plain", False),
        ("application", False),
        ("          ", False),
        ("aaaa aaaa aaaa", False),
        ("see you there", True),
        ("Donaudampfschifffahrt", True),
        ("👍👍👍👍👍👍", False),
    ],
)
def test_only_a_text_that_nothing_else_contains_is_searched_for_everywhere(text: str, is_one: bool) -> None:
    assert is_distinctive(text) is is_one
    assert (text not in TextIndex([text]).not_searched) is is_one

"""One emoji, by the grammar of sequences and not by a list of those that there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.emoji import MAX_EMOJI_CHARACTERS, is_one_emoji, same_emoji

_ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
_FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
_KISS = "\U0001f9d1\U0001f3fb\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f9d1\U0001f3ff"


@pytest.mark.parametrize(
    "emoji",
    [
        *("👍", "👍🏽", "❤", "❤️", "☝🏿", "‼️", "❓", "©️", "🏽"),
        *("1️⃣", "#⃣", "*️⃣", "🇩🇪", "🇽🇰", "🏳️‍🌈", "🏴‍☠️", "👩🏽‍🚒", "🧑🏾‍🤝‍🧑🏻"),
        *(_ENGLAND, _FAMILY, _KISS),
        *("\U0001fae9", "\U0001fa77", "\U0001fad8"),  # of Unicode 16, of 15, and one that may come
    ],
)
def test_one_emoji_however_many_characters_it_has(emoji: str) -> None:
    assert is_one_emoji(emoji)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "a", "ok", "1", "#", "*", "1️", "★", "€", "\ufe0f", "\u200d", "\u20e3"),
        *("👍👍", "👍 ", " 👍", "👍a", "❤️❤️", "☕🏽", "👍🏽🏽", "1️⃣1️⃣"),
        *("🇩", "🇩🇪🇫", "🇩🇪🇫🇷", "👍\u200d", "\u200d👍", "👍\u200d\u200d👍", "🏴\U000e0067", "👍\n"),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_one_emoji(text)


def test_it_is_bounded() -> None:
    assert not is_one_emoji("👍" + "\u200d👍" * MAX_EMOJI_CHARACTERS)
    assert not is_one_emoji("👍\u200d" * 100_000)


@given(st.text(max_size=8))
def test_two_of_them_are_never_one(text: str) -> None:
    assert not is_one_emoji("👍" + text + "👍") or "\u200d" in text
    if is_one_emoji(text):
        assert not is_one_emoji(text + text)


def test_the_presentation_selector_makes_no_difference() -> None:
    assert same_emoji("❤", "❤️")
    assert not same_emoji("❤️", "💔")
    assert not same_emoji("👍", "👍🏽")

"""Reactions in words: each form is written as its maker does, and any of them is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.reaction_text import (
    MAX_QUOTED_CHARACTERS,
    ReactionText,
    ReactionTextForm,
    quotes,
    read_reaction_text,
    write_reaction_text,
)

_TAPBACK, _EMOJI_TO = ReactionTextForm.TAPBACK, ReactionTextForm.EMOJI_TO


@pytest.mark.parametrize(
    ("emoji", "added", "removed"),
    [
        ("❤️", "Loved “hi”", "Removed a heart from “hi”"),
        ("❤", "Loved “hi”", "Removed a heart from “hi”"),
        ("👍", "Liked “hi”", "Removed a like from “hi”"),
        ("👎", "Disliked “hi”", "Removed a dislike from “hi”"),
        ("😂", "Laughed at “hi”", "Removed a laugh from “hi”"),
        ("‼️", "Emphasized “hi”", "Removed an exclamation from “hi”"),
        ("❓", "Questioned “hi”", "Removed a question mark from “hi”"),
        ("🎉", "Reacted 🎉 to “hi”", "Removed 🎉 from “hi”"),
    ],
)
def test_the_words_of_tapbacks(emoji: str, added: str, removed: str) -> None:
    assert write_reaction_text(_TAPBACK, emoji, "hi") == added
    assert write_reaction_text(_TAPBACK, emoji, "hi", is_removal=True) == removed


def test_the_words_of_the_other_maker() -> None:
    assert write_reaction_text(_EMOJI_TO, "👍", "hi") == "\u200a👍\u200a to “\u200ahi\u200a”\u200a"


@pytest.mark.parametrize("form", list(ReactionTextForm))
@pytest.mark.parametrize("is_removal", [False, True])
@given(
    quote=st.text(st.characters(blacklist_characters="\u200a\u200b\u2009", blacklist_categories=("Cs",)), max_size=40)
)
def test_what_is_written_is_read(form: ReactionTextForm, is_removal: bool, quote: str) -> None:
    for emoji in ("👍", "❤️", "🎉", "👩🏽‍🚒"):
        text = write_reaction_text(form, emoji, quote, is_removal=is_removal)
        assert read_reaction_text(text) == ReactionText(emoji, quote, is_removal)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Emphasised “hi”", ReactionText("‼️", "hi", False)),
        ('Liked "hi"', ReactionText("👍", "hi", False)),
        ("Removed an exclamation mark from “hi”", ReactionText("‼️", "hi", True)),
        ("Liked “say “cheese” now”", ReactionText("👍", "say “cheese” now", False)),
        ("👍 to “hi”", ReactionText("👍", "hi", False)),
        ("Liked “two\nlines”", ReactionText("👍", "two\nlines", False)),
    ],
)
def test_variants_are_read(text: str, found: ReactionText) -> None:
    assert read_reaction_text(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "Liked", "Liked hi", "Liked “hi", "I liked “hi”", "Liked “hi” a lot", "Removed “hi”"),
        *("He said to “hi”", "Reacted badly to “hi”", "Removed it from “hi”", "👍👍 to “hi”"),
    ],
)
def test_a_text_is_a_text(text: str) -> None:
    assert read_reaction_text(text) is None


def test_a_long_text_is_quoted_by_its_beginning() -> None:
    long = "word " * 100
    text = write_reaction_text(_TAPBACK, "👍", long)
    assert len(text) < MAX_QUOTED_CHARACTERS + 20
    found = read_reaction_text(text)
    assert found is not None
    assert quotes(["other", long, "word"], found.quote) == [1]
    assert quotes(["a", "b", "a"], "a") == [0, 2]
    assert quotes(["…"], "…") == [0]
    assert read_reaction_text("Liked “" + "a" * 1_000_000 + "”") is None


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    read_reaction_text(text)

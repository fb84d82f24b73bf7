"""Reactions as text, for peers without reactions: the verbs of one maker, the emoji and quote of another (digest §10.3,
RCC.16 digest §8.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rcs_sim.wire.emoji import is_one_emoji, same_emoji

__all__ = ["ReactionText", "ReactionTextForm", "quotes", "read_reaction_text", "write_reaction_text"]

MAX_QUOTED_CHARACTERS = 160  # of a quote that is written; the rest is cut off (choice)
MAX_TEXT_CHARACTERS = 20_000  # of a text that is looked at as a reaction
_CUT = "…"
_HAIR_SPACE = "\u200a"
_MARKS = f"{_HAIR_SPACE}\u200b\u2009"  # spaces that mark the parts, and their like


class ReactionTextForm(StrEnum):
    """Whose form a device writes."""

    TAPBACK = "tapback"  # Liked “…”
    EMOJI_TO = "emoji-to"  # the emoji, "to", the quote, between hair spaces


@dataclass(frozen=True, slots=True)
class ReactionText:
    """A text that reads as a reaction to a message with the text *quote*."""

    emoji: str
    quote: str
    is_removal: bool


# verb, noun of the removal, emoji
_TAPBACKS = (
    ("Loved", "a heart", "❤️"),
    ("Liked", "a like", "👍"),
    ("Disliked", "a dislike", "👎"),
    ("Laughed at", "a laugh", "😂"),
    ("Emphasized", "an exclamation", "‼️"),
    ("Questioned", "a question mark", "❓"),
)
_VERBS = {verb.lower(): emoji for verb, _, emoji in _TAPBACKS} | {"emphasised": "‼️"}
_NOUNS = {noun.split(" ", 1)[1]: emoji for _, noun, emoji in _TAPBACKS} | {"exclamation mark": "‼️", "question": "❓"}

_CLOSING = frozenset('”"“')
_QUOTE = r"[“\"„](?P<quote>.*)[”\"“]"
_BY_VERB = re.compile(rf"(?P<verb>{'|'.join(_VERBS)}) {_QUOTE}", re.DOTALL | re.IGNORECASE)
_BY_NOUN = re.compile(rf"removed an? (?P<noun>{'|'.join(_NOUNS)}) from {_QUOTE}", re.DOTALL | re.IGNORECASE)
_BY_EMOJI = re.compile(rf"(?:reacted )?(?P<emoji>[^ “\"]{{1,32}}) to {_QUOTE}", re.DOTALL | re.IGNORECASE)
_EMOJI_REMOVED = re.compile(rf"removed (?P<emoji>[^ “\"]{{1,32}}) from {_QUOTE}", re.DOTALL | re.IGNORECASE)


def write_reaction_text(form: ReactionTextForm, emoji: str, quote: str, *, is_removal: bool = False) -> str:
    """The text of a reaction to a message with the text *quote*, of which no more than `MAX_QUOTED_CHARACTERS` stand in
    it."""
    if len(quote) > MAX_QUOTED_CHARACTERS:
        quote = quote[:MAX_QUOTED_CHARACTERS] + _CUT
    if form is ReactionTextForm.EMOJI_TO:
        marked = f"{_HAIR_SPACE}{emoji}{_HAIR_SPACE}"
        quoted = f"“{_HAIR_SPACE}{quote}{_HAIR_SPACE}”{_HAIR_SPACE}"
        return f"Removed {marked} from {quoted}" if is_removal else f"{marked} to {quoted}"
    return _write_tapback(emoji, quote, is_removal)


def _write_tapback(emoji: str, quote: str, is_removal: bool) -> str:
    for verb, noun, stands_for in _TAPBACKS:
        if same_emoji(emoji, stands_for):
            return f"Removed {noun} from “{quote}”" if is_removal else f"{verb} “{quote}”"
    return f"Removed {emoji} from “{quote}”" if is_removal else f"Reacted {emoji} to “{quote}”"


def read_reaction_text(text: str) -> ReactionText | None:
    """None for a text that is only a text. Linear, whatever the text is."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return None
    plain = text.strip().strip(_MARKS).strip()
    if plain[-1:] not in _CLOSING:
        return None  # as nearly all texts
    found = _BY_VERB.fullmatch(plain)
    if found is not None:
        return ReactionText(_VERBS[found["verb"].lower()], _quote(found), is_removal=False)
    found = _BY_NOUN.fullmatch(plain)
    if found is not None:
        return ReactionText(_NOUNS[found["noun"].lower()], _quote(found), is_removal=True)
    for form, is_removal in ((_EMOJI_REMOVED, True), (_BY_EMOJI, False)):
        found = form.fullmatch(plain)
        emoji = found["emoji"].strip(_MARKS) if found is not None else ""
        if found is not None and is_one_emoji(emoji):
            return ReactionText(emoji, _quote(found), is_removal)
    return None


def _quote(found: re.Match[str]) -> str:
    return found["quote"].strip(_MARKS)


def quotes(texts: Iterable[str], quote: str) -> list[int]:
    """The places of those *texts* that *quote* may quote: wholly, or their beginning if it is cut off."""
    cut = quote.removesuffix(_CUT) if quote.endswith(_CUT) else ""
    return [place for place, text in enumerate(texts) if text == quote or (cut and text.startswith(cut))]

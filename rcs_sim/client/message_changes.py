"""What was changed about the messages of one conversation: reactions, new texts, recalls (digest §5.5). Sans-IO.

Everything is kept by the id of its target, which may come later, or never. Of several changes of one member the one
that was made last counts, whatever order they come in; a recall is for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from rcs_sim.wire.emoji import same_emoji

__all__ = ["OWN", "MessageChanges", "NewText", "Reaction"]

MAX_TARGETS = 2000  # as many as messages are kept of a conversation; the oldest are forgotten
OWN = ""  # the member whose phone this is; others are named by their contact key

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reaction:
    """*emoji* is "" for one that was taken back; *at* is when its sender made it; *before* is what it took the place
    of, for the case that it does not arrive."""

    emoji: str
    at: float
    change_id: str
    before: Reaction | None = None


@dataclass(frozen=True, slots=True)
class NewText:
    """As `Reaction`, for an edit."""

    text: str
    at: float
    change_id: str
    before: NewText | None = None


class MessageChanges:
    """Of one conversation. What takes a change says whether it counts: one that a later one has overtaken does not."""

    __slots__ = ("_reactions", "_recalls", "_texts")

    def __init__(self) -> None:
        self._reactions: dict[str, dict[str, Reaction]] = {}
        self._texts: dict[str, NewText] = {}
        self._recalls: dict[str, str] = {}

    # --- what there is -----------------------------------------------------------------------------------------------

    def reactions(self, target_id: str) -> dict[str, str]:
        """The emoji of each member who has one on that message."""
        found = self._reactions.get(target_id, {})
        return {member: reaction.emoji for member, reaction in found.items() if reaction.emoji}

    def text(self, target_id: str) -> str | None:
        """The text that has taken the place of that of the message; None if none has."""
        found = self._texts.get(target_id)
        return None if found is None else found.text

    def is_recalled(self, target_id: str) -> bool:
        return target_id in self._recalls

    # --- what comes --------------------------------------------------------------------------------------------------

    def react(self, target_id: str, member: str, reaction: Reaction) -> bool:
        """One reaction per member and message: it takes the place of the one before."""
        members = self._reactions.setdefault(target_id, {})
        _forget_oldest(self._reactions)
        known = members.get(member)
        if known is not None and known.at > reaction.at:
            return False  # it was overtaken by a later one
        if known is not None and known.change_id == reaction.change_id:
            return True
        members[member] = replace(reaction, before=None if known is None else replace(known, before=None))
        return True

    def take_back(self, target_id: str, member: str, reaction: Reaction) -> bool:
        """The member takes back the reaction with that emoji. One with another emoji has replaced it before: it stays
        (choice)."""
        known = self._reactions.get(target_id, {}).get(member)
        if known is not None and known.emoji and not same_emoji(known.emoji, reaction.emoji):
            return False
        return self.react(target_id, member, replace(reaction, emoji=""))

    def edit(self, target_id: str, new: NewText) -> bool:
        known = self._texts.get(target_id)
        if self.is_recalled(target_id) or (known is not None and known.at > new.at):
            return False
        if known is not None and known.change_id == new.change_id:
            return True
        self._texts[target_id] = replace(new, before=None if known is None else replace(known, before=None))
        _forget_oldest(self._texts)
        return True

    def recall(self, target_id: str, change_id: str) -> bool:
        if target_id in self._recalls:
            return False
        self._recalls[target_id] = change_id
        _forget_oldest(self._recalls)
        return True

    def withdraw(self, target_id: str, change_id: str) -> None:
        """A change of the own user reached nobody: what was there before is there again."""
        if self._recalls.get(target_id) == change_id:
            del self._recalls[target_id]
        members = self._reactions.get(target_id, {})
        own, text = members.get(OWN), self._texts.get(target_id)
        if own is not None:
            _restore(members, OWN, _reaction_without(own, change_id))
        if text is not None:
            _restore(self._texts, target_id, _text_without(text, change_id))


def _reaction_without(own: Reaction, change_id: str) -> Reaction | None:
    if own.change_id == change_id:
        return own.before
    is_before = own.before is not None and own.before.change_id == change_id
    return replace(own, before=None) if is_before else own


def _text_without(text: NewText, change_id: str) -> NewText | None:
    if text.change_id == change_id:
        return text.before
    is_before = text.before is not None and text.before.change_id == change_id
    return replace(text, before=None) if is_before else text


def _restore(book: dict[str, T], key: str, before: T | None) -> None:
    if before is None:
        book.pop(key, None)
    else:
        book[key] = before


def _forget_oldest(book: dict[str, T]) -> None:
    if len(book) > MAX_TARGETS:
        del book[next(iter(book))]

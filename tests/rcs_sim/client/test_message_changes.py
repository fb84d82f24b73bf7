"""Reactions, new texts and recalls of one conversation: the last one counts, whatever order they come in."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.client.message_changes import MAX_TARGETS, OWN, MessageChanges, NewText, Reaction

BOB = "+12025550152"


def test_one_reaction_per_member_and_message() -> None:
    changes = MessageChanges()
    assert changes.react("m1", BOB, Reaction("👍", 1.0, "r1"))
    assert changes.react("m1", OWN, Reaction("😂", 2.0, "r2"))
    assert changes.react("m1", BOB, Reaction("❤️", 3.0, "r3"))
    assert changes.reactions("m1") == {BOB: "❤️", OWN: "😂"}
    assert changes.reactions("m2") == {}


def test_the_order_of_arrival_does_not_matter() -> None:
    steps = [("add", "👍", 1.0), ("remove", "👍", 2.0), ("add", "❤️", 3.0)]
    for order in permutations(steps):
        changes = MessageChanges()
        for kind, emoji, at in order:
            reaction = Reaction(emoji, at, f"r{at}")
            changes.react("m1", BOB, reaction) if kind == "add" else changes.take_back("m1", BOB, reaction)
        assert changes.reactions("m1") == {BOB: "❤️"}


def test_a_removal_of_another_emoji_removes_nothing() -> None:
    changes = MessageChanges()
    changes.react("m1", BOB, Reaction("❤️", 1.0, "r1"))
    assert not changes.take_back("m1", BOB, Reaction("👍", 2.0, "r2"))
    assert changes.take_back("m1", BOB, Reaction("❤", 3.0, "r3"))  # the same without its presentation selector
    assert changes.reactions("m1") == {}
    assert not changes.react("m1", BOB, Reaction("👍", 2.5, "r4"))  # it was overtaken by the removal


def test_the_last_text_counts_and_a_recall_is_for_good() -> None:
    changes = MessageChanges()
    assert changes.edit("m1", NewText("second", 2.0, "e2"))
    assert not changes.edit("m1", NewText("first", 1.0, "e1"))
    assert changes.text("m1") == "second"
    assert changes.recall("m1", "x1")
    assert not changes.recall("m1", "x2")
    assert not changes.edit("m1", NewText("third", 3.0, "e3"))
    assert changes.is_recalled("m1")


def test_what_reached_nobody_is_undone_one_step() -> None:
    changes = MessageChanges()
    changes.react("m1", OWN, Reaction("👍", 1.0, "r1"))
    changes.react("m1", OWN, Reaction("❤️", 2.0, "r2"))
    changes.withdraw("m1", "r2")
    assert changes.reactions("m1") == {OWN: "👍"}
    changes.react("m1", OWN, Reaction("❤️", 3.0, "r3"))
    changes.withdraw("m1", "r1")
    changes.withdraw("m1", "r3")
    assert changes.reactions("m1") == {}
    changes.edit("m1", NewText("new", 1.0, "e1"))
    changes.edit("m1", NewText("newer", 2.0, "e2"))
    changes.withdraw("m1", "e1")
    assert changes.text("m1") == "newer"
    changes.withdraw("m1", "e2")
    assert changes.text("m1") is None
    changes.recall("m1", "x1")
    changes.withdraw("m1", "other")
    assert changes.is_recalled("m1")
    changes.withdraw("m1", "x1")
    assert not changes.is_recalled("m1")


def test_the_same_change_twice_is_one() -> None:
    changes = MessageChanges()
    for _ in range(2):
        assert changes.react("m1", OWN, Reaction("👍", 1.0, "r1"))
        assert changes.edit("m1", NewText("new", 1.0, "e1"))
    changes.withdraw("m1", "r1")
    changes.withdraw("m1", "e1")
    assert (changes.reactions("m1"), changes.text("m1")) == ({}, None)


def test_it_is_bounded() -> None:
    changes = MessageChanges()
    for number in range(MAX_TARGETS + 5):
        changes.react(f"m{number}", BOB, Reaction("👍", 1.0, "r"))
        changes.edit(f"m{number}", NewText("t", 1.0, "e"))
        changes.recall(f"m{number}", "x")
    assert changes.reactions("m0") == {}
    assert not changes.is_recalled("m0")
    assert changes.is_recalled(f"m{MAX_TARGETS + 4}")


_STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove"]), st.sampled_from(["👍", "❤️"]), st.integers(0, 5)), max_size=8
)


@given(_STEPS)
def test_nobody_ever_has_two_reactions_on_a_message(steps: list[tuple[str, str, int]]) -> None:
    changes = MessageChanges()
    for number, (kind, emoji, at) in enumerate(steps):
        reaction = Reaction(emoji, float(at), f"r{number}")
        changes.react("m1", BOB, reaction) if kind == "add" else changes.take_back("m1", BOB, reaction)
        assert set(changes.reactions("m1")) <= {BOB}

"""What a key log opens of a trace: every hop of every sealed message, and nothing with other keys."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

import rcs_sim
from ims_core.trace import ListSink, TraceRecord
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.key_log import KEY_LOG_HEADER
from rcs_sim.scenario.key_log_view import key_log_document, key_log_lines
from rcs_sim.scenario.simulation import Simulation
from tests.support.oracle_traces import SealedConversation
from tests.support.recorded_life import the_life

_TEXTS = ["a sealed greeting", "eine Antwort 👍"]


@cache
def _played(seed: int) -> tuple[list[TraceRecord], list[str]]:
    sink, keys = ListSink(), list[str]()

    async def story() -> None:
        async with Simulation("two-carriers", seed, sinks=[sink], key_log=keys.append) as sim:
            alice = await sim.add_phone("alice")
            bob = await sim.add_phone("bob", "ios", "blue")
            await asyncio.sleep(1)
            await (await alice.chat(bob).send(_TEXTS[0])).delivered(within_s=20)
            await (await bob.chat(alice).send(_TEXTS[1])).delivered(within_s=20)

    rcs_sim.run(story, clock="virtual")
    return sink.records, [KEY_LOG_HEADER, *keys]


def test_every_passage_opens_and_says_what_was_written() -> None:
    records, lines = _played(7)
    document = key_log_document(records, lines)
    assert document.messages
    assert all(passage.opened and not passage.why for passage in document.messages)
    for text in _TEXTS:
        hops = {(one.source, one.target) for one in document.messages if one.text == text}
        assert len(hops) >= 3, text
    assert {one.epoch for one in document.messages} == {1}
    assert document.messages[0].ids


def test_messages_of_every_era_open() -> None:
    """A new era has the group id of the one before, and counts its epochs from the beginning."""
    life = the_life("ios", "android")
    document = key_log_document(life.records, life.lines)
    eras = {line.split()[-1] for line in life.lines if line.startswith("EPOCH") and line.split()[2] == "1"}
    assert len(eras) > 1
    closed = [passage for passage in document.messages if not passage.opened]
    assert len({passage.ids[0] for passage in closed}) == 1  # its last bit was turned on the way
    assert {passage.text for passage in document.messages if passage.opened} == life.texts


def test_the_lines_are_those_of_the_groups_in_the_trace_each_once() -> None:
    records, lines = _played(7)
    strange = _played(8)[1]
    document = key_log_document(records, [*strange, *lines, *lines])
    assert document.lines == list(dict.fromkeys(lines[1:]))
    shown = key_log_lines(document).splitlines()
    assert shown[0] == KEY_LOG_HEADER
    count = len(document.messages)
    assert shown[1].endswith(f"open {count} of the {count} passages of sealed messages in the trace")
    assert key_log_document(records, shown) == document  # remarks are comments


@pytest.mark.parametrize("kept", ["", "EPOCH", "another run"])
def test_without_the_keys_nothing_opens_and_the_reason_is_told(kept: str) -> None:
    records, lines = _played(7)
    own = [line for line in lines if kept and line.startswith(kept)]
    document = key_log_document(records, _played(8)[1] if kept == "another run" else own)
    assert document.messages
    assert not any(passage.opened or passage.text for passage in document.messages)
    why = "not in the log" if kept == "EPOCH" else "nothing of this epoch is in the log"
    assert all(why in passage.why for passage in document.messages)
    assert "# not opened: " in key_log_lines(document)
    assert all(text not in document.model_dump_json() for text in _TEXTS)


def test_octets_that_are_no_mls_message_are_told_and_stop_nothing() -> None:
    conversation = SealedConversation()
    conversation.send_sealed("m1", "hidden")
    document = key_log_document(conversation.records, _played(7)[1])
    assert document.messages
    assert {passage.opened for passage in document.messages} == {False}
    assert all(passage.why for passage in document.messages)
    assert document.lines == []


def test_a_line_that_is_none_is_refused() -> None:
    with pytest.raises(TlsDecodeError, match="a line of a key log"):
        key_log_document([], ["EPOCH zz"])

"""What a fault says of itself."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import GENERAL_KEYS, FaultKind, KeyKind, Occasion, Reach, ScopeKey


async def _nothing(fault: ActiveFault) -> None:
    """Does nothing."""


def _kind(**example: object) -> FaultKind:
    key = ScopeKey(name="from", kind=KeyKind.PLACE, meaning="who")
    return FaultKind(
        word="a.b",
        meaning="m",
        clause="c",
        reversal="r",
        begin=_nothing,
        keys=(key,),
        example=example,
        reach=Reach.BOTH,
    )


def test_an_example_is_quoted_where_yaml_or_python_need_it() -> None:
    kind = _kind(**{"from": "*.ibcf", "is_on": True, "count": 2})
    assert kind.yaml == '- fault: {a.b: {from: "*.ibcf", is_on: true, count: 2}}'
    assert kind.python.startswith('async with sim.fault("a.b", from_="*.ibcf", ')
    assert _kind().yaml == "- fault: a.b"


def test_the_keys_of_every_word_come_after_its_own() -> None:
    general = [key.name for key in GENERAL_KEYS]
    assert [key.name for key in _kind().all_keys] == ["from", *general, "probability"]
    often = replace(_kind(), occasion=Occasion.EACH)
    assert [key.name for key in often.all_keys] == ["from", *general, "probability", "count", "every"]


def test_a_document_has_what_there_is_and_no_more() -> None:
    key = ScopeKey(name="w", kind=KeyKind.WORD, meaning="m", words=("x", "y"), default="x", is_required=True)
    assert key.document() == {
        "name": "w",
        "type": "word",
        "meaning": "m",
        "words": ["x", "y"],
        "default": "x",
        "required": True,
    }
    assert _kind().document()["reach"] == "both"

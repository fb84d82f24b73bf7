"""Ladders: lanes in the order of the figure, arrows between the right lanes, and valid SVG."""

from __future__ import annotations

from itertools import pairwise

from lxml import etree

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.ladder import ladder_svg, ladder_text, lanes_of

_PATH = (
    "alice red.pcscf red.scscf red.messaging_server red.scscf red.ibcf blue.ibcf blue.icscf blue.scscf blue.pcscf bob"
)


def _records() -> list[TraceRecord]:
    hops = [
        TraceRecord(
            number=number,
            at=100 + number / 100,
            kind=RecordKind.MESSAGE,
            source=source,
            target=target,
            protocol="SIP",
            summary="MESSAGE <tel:+12025550152>",
        )
        for number, (source, target) in enumerate(pairwise(_PATH.split()), 1)
    ]
    shown = TraceRecord(number=99, at=101, kind=RecordKind.SHOWN, source="bob", target="bob", summary='"hi & bye"')
    return [*hops, shown]


def test_lanes_stand_from_one_phone_to_the_other() -> None:
    assert lanes_of(_records()) == [
        "alice",
        "red.pcscf",
        "red.scscf",
        "red.messaging_server",
        "red.ibcf",
        "blue.ibcf",
        "blue.scscf",
        "blue.icscf",
        "blue.pcscf",
        "bob",
    ]


def test_an_arrow_ends_at_its_target() -> None:
    head, first, *_, last = ladder_text(_records()).splitlines()
    assert head.split() == [name[:14] for name in lanes_of(_records())]
    assert first.lstrip().startswith("0.000")
    assert "─▶│" in first
    assert last.endswith('● [shown] "hi & bye"')


def test_a_ladder_of_chosen_lanes_leaves_the_others_out() -> None:
    lines = ladder_text(_records(), ["red.scscf", "red.messaging_server"]).splitlines()
    assert len(lines) == 3
    assert "▶" in lines[1]
    assert "◀" in lines[2]
    assert ladder_text(_records(), ["nobody"]) == "(nothing crossed these lanes)"


def test_the_svg_is_one_well_formed_document_with_every_rung() -> None:
    root = etree.fromstring(ladder_svg(_records(), title="a < b").encode())
    svg = "{http://www.w3.org/2000/svg}"
    titles = [node.text for node in root.iter(f"{svg}title")]
    assert titles.count("MESSAGE <tel:+12025550152>") == 10
    assert '[shown] "hi & bye"' in titles
    labels = [node.text for node in root.iter(f"{svg}text")]
    assert "a < b" in labels
    assert "MESSAGE <tel:+12025550…" in labels  # cut to the length of its arrow


def test_message_sessions_cross_the_relays_between_the_phones() -> None:
    hops = pairwise(("alice", "red.msrp_relay", "blue.msrp_relay", "bob"))
    records = [
        TraceRecord(number, float(number), RecordKind.MESSAGE, source, target, protocol="MSRP", summary="SEND 1-9/9 $")
        for number, (source, target) in enumerate(hops, 1)
    ]
    assert lanes_of(records) == ["alice", "red.msrp_relay", "blue.msrp_relay", "bob"]
    lanes = lanes_of([*records, *_records()])
    assert lanes.index("red.msrp_relay") < lanes.index("red.ibcf") < lanes.index("blue.msrp_relay")

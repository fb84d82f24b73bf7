"""Typing indication."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.iscomposing import DEFAULT_REFRESH_S, IsComposing, IsComposingParseError


def test_both_states_survive_a_round_trip() -> None:
    active = IsComposing(True, "text/plain", refresh_s=60)
    idle = IsComposing(False, "text/plain", last_active="2026-03-02T10:16:40Z")
    assert IsComposing.parse(active.encode()) == active
    assert IsComposing.parse(idle.encode()) == idle


def test_active_has_the_form_of_the_digest() -> None:
    assert IsComposing(True, "text/plain", refresh_s=60).encode() == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">\n'
        b" <state>active</state>\n <contenttype>text/plain</contenttype>\n <refresh>60</refresh>\n</isComposing>\n"
    )


@pytest.mark.parametrize(
    ("members", "lasts_s"),
    [
        ("<state>active</state>", DEFAULT_REFRESH_S),
        ("<state> active </state><refresh>90</refresh>", 90),
        ("<state>active</state><refresh>soon</refresh>", DEFAULT_REFRESH_S),
        ("<state>active</state><refresh>0</refresh>", DEFAULT_REFRESH_S),
        ("<state>active</state><refresh>9999999999</refresh>", 86400),
        ("<state>idle</state><refresh>90</refresh>", 0),
        ("<state>novel</state>", 0),
    ],
)
def test_how_long_the_state_lasts(members: str, lasts_s: int) -> None:
    octets = f'<q:isComposing xmlns:q="urn:x">{members}</q:isComposing>'.encode()
    assert IsComposing.parse(octets).lasts_s == lasts_s


@pytest.mark.parametrize(
    "octets", [b"", b"<isComposing/>", b"<x><state>active</state></x>", b"<!DOCTYPE a><isComposing/>"]
)
def test_refused_documents(octets: bytes) -> None:
    with pytest.raises(IsComposingParseError):
        IsComposing.parse(octets)


@given(st.binary(max_size=100))
def test_any_octets_give_a_state_or_the_modules_own_error(octets: bytes) -> None:
    with contextlib.suppress(IsComposingParseError):
        IsComposing.parse(b"<isComposing><state>active</state><refresh>" + octets + b"</refresh></isComposing>")
    with contextlib.suppress(IsComposingParseError):
        IsComposing.parse(octets)

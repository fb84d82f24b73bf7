"""What a trace says about the content of a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.scenario.traced_content import cpim_members, essence_of, first_chunk_members, label_of
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE, IsComposing

_RECEIPT = Imdn("m-9", "2026-03-02T10:15:30Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED).encode()
_TYPING = IsComposing(True, "text/plain", 60).encode()


def _cpim(body: bytes, content_type: str) -> bytes:
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id="m-1",
        date_time="2026-03-02T10:15:30Z",
        body=body,
        content_type=content_type,
    )


@pytest.mark.parametrize(
    ("content_type", "body", "label"),
    [
        ("text/plain;charset=UTF-8", b"hello", "text/plain"),
        ("message/imdn+xml", _RECEIPT, "imdn delivered"),
        (IS_COMPOSING_CONTENT_TYPE, _TYPING, "typing active"),
        (IS_COMPOSING_CONTENT_TYPE, IsComposing(False).encode(), "typing idle"),
        (IS_COMPOSING_CONTENT_TYPE, b"<no typing/>", IS_COMPOSING_CONTENT_TYPE),
        ("message/imdn+xml", b"<no receipt/>", "message/imdn+xml"),
        ("no type at all", b"hello", ""),
    ],
)
def test_a_label_names_what_a_user_would_care_for_with_and_without_cpim(
    content_type: str, body: bytes, label: str
) -> None:
    bare = first_chunk_members(content_type, body, is_whole=True)
    assert label_of(bare["details"]) == label
    if essence_of(content_type):
        wrapped = first_chunk_members(CPIM_CONTENT_TYPE, _cpim(body, content_type), is_whole=True)
        assert label_of(wrapped["details"]) == label
        assert wrapped["imdn_message_id"] == "m-1"


def test_the_first_chunk_of_a_long_message_is_enough_for_its_identifier_and_type() -> None:
    octets = _cpim(b"x" * 5000, "text/plain;charset=UTF-8")[:2048]
    assert cpim_members(octets) == {}
    found = first_chunk_members(CPIM_CONTENT_TYPE, octets, is_whole=False)
    assert found == {"imdn_message_id": "m-1", "details": {"content": "text/plain"}}
    assert first_chunk_members(CPIM_CONTENT_TYPE, octets[:40], is_whole=False) == {
        "details": {"content": "message/cpim"}
    }


@given(
    st.sampled_from([CPIM_CONTENT_TYPE, "message/imdn+xml", IS_COMPOSING_CONTENT_TYPE, "x"]), st.binary(), st.booleans()
)
def test_whatever_the_octets_nothing_is_raised(content_type: str, octets: bytes, is_whole: bool) -> None:
    first_chunk_members(content_type, octets, is_whole=is_whole)
    first_chunk_members(content_type, _cpim(octets, "message/imdn+xml")[: len(octets) * 3], is_whole=is_whole)

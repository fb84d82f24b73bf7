"""Stored short messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.store.record_codec import RecordCodec
from ims_core.store.short_messages import (
    SHORT_MESSAGES,
    MessageSource,
    ShortMessage,
    TransferKind,
    short_message_key,
)

_messages = st.builds(
    ShortMessage,
    number=st.integers(0, 2**60),
    kind=st.sampled_from(TransferKind),
    originator=st.text(max_size=20),
    destination=st.text(max_size=20),
    tpdu=st.binary(max_size=170),
    submitted_at=st.binary(min_size=7, max_size=7),
    accepted_at=st.floats(0, 1e10),
    expires_at=st.floats(0, 1e10),
    source=st.sampled_from(MessageSource),
    identifier=st.text(max_size=20),
)


@given(_messages)
def test_a_message_survives_the_store(message: ShortMessage) -> None:
    codec = RecordCodec(SHORT_MESSAGES)
    assert codec.decode(codec.encode(message)) == message


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_keys_sort_by_number(one: int, other: int) -> None:
    assert (short_message_key(one) < short_message_key(other)) == (one < other)

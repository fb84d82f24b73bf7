"""GroupMetadataKeys."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.file_info import FileInfo, FileMetadata
from rcs_sim.e2ee.group_metadata_keys import GroupMetadataKeys
from rcs_sim.wire.protobuf import ProtobufError


@given(st.binary(max_size=40), st.sampled_from([None, FileInfo(), FileInfo(icon=FileMetadata("a", "b", None))]))
def test_it_survives_a_round_trip(token: bytes, file_info: FileInfo | None) -> None:
    keys = GroupMetadataKeys(token, file_info)
    assert GroupMetadataKeys.decode(keys.encode()) == keys


@given(st.binary(max_size=100))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        GroupMetadataKeys.decode(octets)


def test_the_token_is_not_shown() -> None:
    assert "TOKEN" not in repr(GroupMetadataKeys(b"TOKEN"))

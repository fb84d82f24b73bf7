"""FileInfo."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.file_info import FileEncryptionInfo, FileInfo, FileMetadata
from rcs_sim.wire.protobuf import ProtobufError

_OCTETS = st.binary(max_size=40)
_ENCRYPTIONS = st.builds(FileEncryptionInfo, _OCTETS, _OCTETS, _OCTETS, st.integers(0, 3), st.integers(0, 2**32 - 1))
_FILES = st.none() | st.builds(FileMetadata, st.text(max_size=9), st.text(max_size=9), st.none() | _ENCRYPTIONS)


@given(st.builds(FileInfo, _FILES, _FILES, _FILES, _FILES))
def test_it_survives_a_round_trip(info: FileInfo) -> None:
    assert FileInfo.decode(info.encode()) == info


@given(st.binary(max_size=200))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    for kind in (FileInfo, FileMetadata, FileEncryptionInfo):
        with contextlib.suppress(ProtobufError):
            kind.decode(octets)


def test_a_length_beyond_127_is_four_octets_little_endian() -> None:
    octets = FileEncryptionInfo(b"", b"", b"", 0, 1025).encode()
    assert octets == b"\x2d\x01\x04\x00\x00"


def test_a_key_is_not_shown() -> None:
    assert "KEYKEY" not in repr(FileEncryptionInfo(b"KEYKEY", b"", b""))

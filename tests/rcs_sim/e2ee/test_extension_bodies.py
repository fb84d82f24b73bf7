"""Extension bodies: framed, bare, and neither."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.extension_bodies import (
    DowngradeReason,
    EndMls,
    EndMlsForm,
    Framing,
    RcsExtensionType,
    end_mls_extension,
    era_extension,
    era_of,
    find_extension_value,
    has_end_mls,
    has_metadata_keys_requested,
    metadata_keys_requested_extension,
    read_end_mls,
    read_extension_value,
    replace_extension,
    value_extension,
    without_extensions,
)
from rcs_sim.mls.codec import TlsDecodeError, encode_opaque
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import ExtensionType

_COMMITMENTS = (RcsExtensionType.ICON_COMMITMENT, RcsExtensionType.SUBJECT_COMMITMENT)
_KEYS = (RcsExtensionType.ICON_KEY, RcsExtensionType.SUBJECT_KEY)


@given(st.sampled_from([*range(0xF001, 0xF031), 0xE000]), st.binary(max_size=80))
def test_any_body_is_read_or_refused(extension_type: int, body: bytes) -> None:
    with contextlib.suppress(TlsDecodeError):
        read_extension_value(extension_type, body)
    read_end_mls(body)
    era_of((Extension(ExtensionType(0xF001), body),))


@pytest.mark.parametrize("extension_type", _COMMITMENTS)
@pytest.mark.parametrize("length", [32, 48, 64])
def test_a_commitment_is_read_framed_and_bare(extension_type: ExtensionType, length: int) -> None:
    for framing in Framing:
        body = value_extension(extension_type, b"\x08\xc1" * (length // 2), framing).extension_data
        assert read_extension_value(extension_type, body) == b"\x08\xc1" * (length // 2)


@pytest.mark.parametrize("body", ["02aa", "01aabb", "c000", "4020" + "aa" * 32, "1f" + "aa" * 30, "", "01aa"])
def test_a_commitment_of_another_shape_is_refused(body: str) -> None:
    with pytest.raises(TlsDecodeError):
        read_extension_value(RcsExtensionType.ICON_COMMITMENT, bytes.fromhex(body))


@pytest.mark.parametrize("extension_type", [*_KEYS, RcsExtensionType.CONTINUITY_COMMITMENT])
def test_a_key_and_a_continuity_commitment_are_never_bare(extension_type: ExtensionType) -> None:
    assert read_extension_value(extension_type, b"\x20" + bytes(32)) == bytes(32)
    for body in (bytes(32), b"\x1f" + bytes(31), b"\x21" + bytes(33)):
        with pytest.raises(TlsDecodeError):
            read_extension_value(extension_type, body)


def test_a_continuity_token_is_read_framed_and_bare() -> None:
    for body in (b"\x20" + b"Z" * 32, b"Z" * 32):
        assert read_extension_value(RcsExtensionType.CONTINUITY_TOKEN, body) == b"Z" * 32
    with pytest.raises(TlsDecodeError):
        read_extension_value(RcsExtensionType.CONTINUITY_TOKEN, b"Z" * 31)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b"end_mls", EndMls(EndMlsForm.LITERAL, None)),
        (b"end_mls and more", EndMls(EndMlsForm.LITERAL, None)),
        (b"", EndMls(EndMlsForm.PROTOBUF, DowngradeReason.UNSET)),
        (b"\x08\x05", EndMls(EndMlsForm.PROTOBUF, DowngradeReason.CONTINUITY_TOKEN_MISMATCH)),
        (b"\x08\x7f", EndMls(None, None)),
        (b"\xff\x01", EndMls(None, None)),
    ],
)
def test_end_mls_ends_mls_whatever_it_says(body: bytes, read: EndMls) -> None:
    assert read_end_mls(body) == read
    assert has_end_mls((Extension(RcsExtensionType.END_MLS, body),))


def test_an_era_that_cannot_be_read_is_none() -> None:
    assert era_of(()) is None
    assert era_of((Extension(RcsExtensionType.ERA, b"\0\0\1"),)) is None
    assert era_of((era_extension(0xFFFFFFFF),)) == 0xFFFFFFFF
    with pytest.raises(TlsDecodeError):
        read_extension_value(RcsExtensionType.ERA, b"\x04\0\0\0\1")


@pytest.mark.parametrize("body", [b"", b"group_metadata_keys_requested", b"\x1dgroup_metadata_keys_requested"])
def test_three_forms_of_the_request_for_keys_are_read(body: bytes) -> None:
    read_extension_value(RcsExtensionType.GROUP_METADATA_KEYS_REQUESTED, body)
    assert has_metadata_keys_requested((Extension(RcsExtensionType.GROUP_METADATA_KEYS_REQUESTED, body),))
    assert metadata_keys_requested_extension(Framing.BARE).extension_data == b"group_metadata_keys_requested"


def test_lists_are_changed_in_place_and_the_rest_stays_verbatim() -> None:
    odd = Extension(ExtensionType(0xF020), b"\xff not framed")
    extensions = (era_extension(1), odd)
    assert replace_extension(extensions, era_extension(2)) == (era_extension(2), odd)
    ended = replace_extension(extensions, end_mls_extension(EndMlsForm.LITERAL))
    assert ended == (*extensions, Extension(RcsExtensionType.END_MLS, b"end_mls"))
    assert without_extensions(ended, (RcsExtensionType.END_MLS,)) == extensions


def test_a_value_is_found_in_a_list() -> None:
    extensions = (value_extension(RcsExtensionType.SUBJECT_COMMITMENT, bytes(32)),)
    assert find_extension_value(extensions, RcsExtensionType.SUBJECT_COMMITMENT) == bytes(32)
    assert find_extension_value(extensions, RcsExtensionType.ICON_COMMITMENT) is None
    assert read_extension_value(0xF020, encode_opaque(b"abc")) == b"abc"

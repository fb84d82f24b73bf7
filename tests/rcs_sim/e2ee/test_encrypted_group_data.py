"""Group data of an encrypted conversation."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.encrypted_group_data import EncryptedGroupData, GroupDataError, GroupDataTarget


@pytest.mark.parametrize("target", list(GroupDataTarget))
@pytest.mark.parametrize("content", [None, "YWJj", "https://content.example.com/?a=1&b=<2>"])
def test_it_survives_a_round_trip(target: GroupDataTarget, content: str | None) -> None:
    change = EncryptedGroupData(target, content)
    assert EncryptedGroupData.parse(change.encode()) == change


@given(st.binary(max_size=200))
def test_any_octets_parse_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(GroupDataError):
        EncryptedGroupData.parse(octets)


def test_names_are_matched_without_their_namespace() -> None:
    xml = b"<x:groupdata xmlns:x='y'><target-type>encrypted-icon</target-type><action-type>set</action-type>"
    read = EncryptedGroupData.parse(xml + b"<data><x:encrypted-icon>u</x:encrypted-icon></data></x:groupdata>")
    assert read == EncryptedGroupData(GroupDataTarget.ICON, "u")


@pytest.mark.parametrize(
    "xml",
    [
        b"<groupdata/>",
        b"<other><target-type>encrypted-icon</target-type><action-type>delete</action-type></other>",
        b"<groupdata><target-type>subject</target-type><action-type>delete</action-type></groupdata>",
        b"<groupdata><target-type>encrypted-icon</target-type><action-type>set</action-type></groupdata>",
        b"<groupdata><target-type>encrypted-icon</target-type><action-type>other</action-type>"
        b"<data><encrypted-icon>u</encrypted-icon></data></groupdata>",
        b"<!DOCTYPE a><groupdata/>",
    ],
)
def test_what_sets_and_deletes_nothing_is_refused(xml: bytes) -> None:
    with pytest.raises(GroupDataError):
        EncryptedGroupData.parse(xml)


def test_setting_to_nothing_is_a_fault_of_the_caller() -> None:
    with pytest.raises(LocalProtocolError):
        EncryptedGroupData(GroupDataTarget.ICON, "").encode()

"""Check 1: any octets are a request or a refusal with the name of a field (§14.3, §14.6)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Remove
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_request import read_group_info, read_request
from tests.support.focus_devices import ALICE, BOB, FocusDevice

_ALICE, _BOB = FocusDevice(ALICE), FocusDevice(BOB, vendor_id=1)
CREATE = _ALICE.create("create", [_BOB])
_ALICE.adopt()
SEALED = _ALICE.group.seal(b"x", _ALICE.random).encode()
COMMIT = _ALICE.commit("commit")
PROPOSE = _ALICE.propose("propose", Remove(LeafIndex(1)))
NEW_ERA = _ALICE.new_era("era", [_BOB], _ALICE.state)


def refused(message: ClientMlsRcsMessage | bytes) -> tuple[str, str]:
    octets = message if isinstance(message, bytes) else message.encode()
    with pytest.raises(MlsRefused) as refusal:
        read_request(ALICE, "id", octets)
    assert refusal.value.check == 1
    return str(refusal.value.reason), refusal.value.detail


def test_each_request_reads() -> None:
    create, commit, propose, era = (
        read_request(ALICE, "id", each.encode()) for each in (CREATE, COMMIT, PROPOSE, NEW_ERA)
    )
    assert (create.is_create, create.is_new_era, create.base) == (True, False, EpochIdentifier())
    assert (era.is_create, era.is_new_era, era.advance) == (True, True, AdvanceKind.NORMAL)
    assert commit.covered is not None
    assert commit.handshake is not None
    assert propose.covered is None
    assert propose.result == propose.base


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"operation": 0}, "operation"),
        ({"operation": 9}, "operation"),
        ({"mls_group_id": b"\x00" * 16}, "mls_group_id"),
        ({"mls_group_id": b"7F3A0C5E-2B91-4D6F-8E10-5C9D2A4B6E01"}, "mls_group_id"),
        ({"context_id": "short"}, "context_id"),
        ({"welcome_action": 4}, "welcome_action"),
        ({"welcome_action": 2}, "base"),
        ({"advance_kind": 1}, "advance_kind"),
        ({"welcome": b""}, "welcome"),
        ({"welcome": SEALED}, "welcome"),
        ({"result": None}, "result"),
        ({"result": EpochIdentifier(1, 1, b"short")}, "result"),
        ({"result": EpochIdentifier(1, 1, bytes(32))}, "epoch_authenticator"),
        ({"group_info": None}, "group_info"),
    ],
)
def test_a_field_of_a_create_that_is_wrong_is_named(change: dict[str, object], field: str) -> None:
    assert refused(replace(CREATE, **change)) == ("invalid-input", field)


def test_what_stands_beside_the_group_info_is_read() -> None:
    assert CREATE.group_info is not None
    info = CREATE.group_info
    for beside, field in (
        (replace(info, group_info=b"junk"), "group_info"),
        (replace(info, group_info=SEALED), "group_info"),
        (replace(info, ratchet_tree=b"\x01"), "ratchet_tree"),
        (replace(info, ratchet_tree=b"\x41\x00" + bytes(256)), "ratchet_tree"),
    ):
        assert refused(replace(CREATE, group_info=beside)) == ("invalid-input", field)
    assert refused(replace(COMMIT, key_delivery=(b"x",))) == ("invalid-input", "key_delivery")
    assert refused(replace(COMMIT, key_delivery=(COMMIT.commit,))) == ("invalid-input", "key_delivery")


def test_a_commit_that_cannot_be_read_has_a_token_of_its_own() -> None:
    for octets in (b"", b"junk", PROPOSE.proposal):
        assert refused(replace(COMMIT, commit=octets)) == ("unparsable-commit", "commit")
    assert refused(replace(PROPOSE, proposal=COMMIT.commit)) == ("invalid-input", "proposal")
    assert refused(replace(PROPOSE, proposal=b"")) == ("invalid-input", "proposal")
    assert refused(replace(COMMIT, base=None)) == ("invalid-input", "base")


def test_a_list_of_numbers_is_bounded() -> None:
    assert refused(replace(COMMIT, add=("tel:+1",) * 300)) == ("invalid-input", "add")
    assert refused(replace(COMMIT, remove=("tel:+1",) * 300)) == ("invalid-input", "remove")


def test_a_bare_group_info_is_read_like_a_wrapped_one() -> None:
    wrapped = CREATE.group_info.group_info if CREATE.group_info is not None else b""
    info = read_group_info(wrapped)
    assert read_group_info(info.encode()) == info
    assert MLSMessage(info).encode() == wrapped
    with pytest.raises(TlsDecodeError):
        read_group_info(b"\x00\x01\x00\x04")


@given(st.binary(max_size=300))
def test_any_octets_are_refused_by_field_or_read(octets: bytes) -> None:
    with suppress(MlsRefused):
        read_request(ALICE, "id", octets)

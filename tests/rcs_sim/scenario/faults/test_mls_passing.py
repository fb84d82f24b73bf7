"""What is spoiled in an MLSMessage is that and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.link import AddressBook
from rcs_sim.mls.identifiers import ContentType, Epoch
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.scenario.faults.link_tap import LinkTap
from rcs_sim.scenario.faults.mls_passing import flipped, focus_bundle, focus_request, mls_kind, sealed_message, spoiled
from rcs_sim.scenario.faults.passing import Line, Passing
from tests.rcs_sim.scenario.faults.test_link_tap import Wire
from tests.rcs_sim.scenario.faults.test_passing import message

SEALED = PrivateMessage(b"group", Epoch(3), ContentType.APPLICATION, b"aad", b"sender", b"ciphertext")


def test_the_last_bit_is_the_other_way() -> None:
    assert flipped(b"ab") == b"ac"
    assert flipped(flipped(b"ab")) == b"ab"
    assert flipped(b"") == b""


def test_only_the_authenticated_data_of_a_sealed_message_are_spoiled() -> None:
    octets = spoiled(MLSMessage(SEALED).encode(), "aad")
    assert octets is not None
    assert MLSMessage.decode(octets).body == replace(SEALED, authenticated_data=flipped(b"aad"))


@pytest.mark.parametrize("what", ["signature", "confirmation_tag", "nothing"])
def test_a_sealed_message_has_no_signature_that_could_be_spoiled(what: str) -> None:
    assert spoiled(MLSMessage(SEALED).encode(), what) is None


@given(st.binary(max_size=80))
def test_what_is_no_mls_message_is_left_alone(octets: bytes) -> None:
    assert spoiled(octets, "signature") is None


def test_a_message_in_clear_is_nothing_of_the_mls_plane() -> None:
    wire = Wire(AddressBook())
    passing = Passing(LinkTap(wire.book), wire, message(), Line.CONTENT)
    assert mls_kind(passing) is None
    assert (sealed_message(passing), focus_request(passing), focus_bundle(passing)) == (None, None, None)

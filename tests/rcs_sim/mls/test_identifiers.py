"""Code points (RFC 9420 §17): the unknown ones are kept, and not collected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    ContentType,
    CredentialType,
    ExtensionType,
    ProposalType,
    ProtocolVersion,
    WireFormat,
    is_grease,
)

_REGISTRIES = (CipherSuiteId, CredentialType, ExtensionType, ProposalType, ProtocolVersion, WireFormat)


@given(number=st.integers(0, 0xFFFF), registry=st.sampled_from(_REGISTRIES))
def test_every_code_point_is_kept_as_it_is(number: int, registry: type[ExtensionType]) -> None:
    before = len(registry)
    member = registry(number)
    assert member == number
    assert hash(member) == hash(number)
    assert isinstance(member, registry)
    assert member.name
    assert len(registry) == before


@pytest.mark.parametrize("number", [-1, 0x10000, "1", None])
def test_what_is_no_code_point_is_refused(number: object) -> None:
    for registry in _REGISTRIES:
        with pytest.raises(ValueError, match="valid"):
            registry(number)


def test_a_select_of_the_protocol_has_no_unknown_case() -> None:
    with pytest.raises(ValueError, match="valid"):
        ContentType(4)


def test_the_fifteen_grease_values_are_known() -> None:
    grease = [number for number in range(0x10000) if is_grease(number)]
    assert len(grease) == 15
    assert grease[0] == 0x0A0A
    assert grease[-1] == 0xEAEA
    assert all(number >> 8 == number & 0xFF for number in grease)

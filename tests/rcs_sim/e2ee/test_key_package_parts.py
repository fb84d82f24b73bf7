"""A KeyPackage apart from its credential."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.key_package_parts import KeyPackageParts

_PIECES = st.lists(st.binary(max_size=8), max_size=3)


@given(st.binary(max_size=20), _PIECES, st.binary(max_size=20))
def test_octets_come_back_whole(before: bytes, credential: list[bytes], after: bytes) -> None:
    octets = b"".join((before, *credential, after))
    parts = KeyPackageParts.of(octets, credential)
    assert parts.octets == octets
    assert len(parts.rest) == len(before) + len(after)


@given(st.binary(max_size=20), _PIECES)
def test_octets_without_the_credential_stay_in_one_piece(octets: bytes, credential: list[bytes]) -> None:
    assert KeyPackageParts.of(octets, credential).octets == octets


def test_the_credential_is_kept_as_it_was_given() -> None:
    credential = (bytes(range(64)),)
    one, other = (KeyPackageParts.of(number + credential[0], credential) for number in (b"1", b"2"))
    assert one.credential is other.credential is credential

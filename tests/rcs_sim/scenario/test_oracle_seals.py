"""Under a lock are octets of a cipher, and of the scheme that the lock names."""

from __future__ import annotations

import pytest

from rcs_sim.scenario.oracle_seals import SEALED_AS, is_no_cipher, scheme_of
from tests.support.oracle_traces import sealed_octets

_TEXT = b"meet me at the old harbour, at eight, and bring the maps; " * 3


@pytest.mark.parametrize("media_type", SEALED_AS.values())
@pytest.mark.parametrize(
    "octets",
    [
        _TEXT[::-1],
        bytes(octet ^ 0x5A for octet in _TEXT),
        bytes((octet + 13) % 256 for octet in _TEXT),
        bytes(200),
        _TEXT.hex().encode(),
        _TEXT * 2 + sealed_octets("a", 64),
    ],
)
def test_octets_that_no_cipher_has_made_are_told(media_type: str, octets: bytes) -> None:
    assert is_no_cipher(media_type, octets)


@pytest.mark.parametrize("media_type", SEALED_AS.values())
@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 100, 322, 5000])
def test_what_a_cipher_has_made_and_what_is_too_short_to_tell_is_not(media_type: str, length: int) -> None:
    assert not any(is_no_cipher(media_type, sealed_octets(f"m{number}", length)) for number in range(50))


def test_what_is_not_said_to_be_sealed_is_not_judged() -> None:
    assert not is_no_cipher("text/plain", _TEXT)
    assert [scheme_of(each) for each in ("message/mls", "application/vnd.google.rcs.encrypted", "text/plain", "")] == [
        "mls",
        "legacy",
        "",
        "",
    ]

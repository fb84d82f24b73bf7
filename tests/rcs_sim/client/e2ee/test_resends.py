"""Which earlier message one replaces."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.client.e2ee.resends import Replaced, replaced_by

_KEY = b"k" * 32


def _component(original: bytes) -> bytes:
    return b"\x02\x00\x00\x00\x01\x00\x00\x40\x40" + _KEY + hmac.new(_KEY, original, hashlib.sha256).digest()


def test_without_a_component_the_header_is_all_there_is() -> None:
    assert replaced_by(b"\x00", "Mx1", ["Mx2"]) == Replaced("Mx1")
    assert replaced_by(b"\x00", "", ["Mx2"]) == Replaced()


def test_the_component_decides_whatever_the_header_says() -> None:
    assert replaced_by(_component(b"Mx1"), "Mx1", []) == Replaced("Mx1", is_proven=True)
    assert replaced_by(_component(b"Mx1"), "", ["Mx2", "Mx1"]) == Replaced("Mx1", is_proven=True)
    assert replaced_by(_component(b"Mx1"), "Mx2", ["Mx2", "Mx1"]) == Replaced("Mx1", is_proven=True)
    elsewhere = replaced_by(_component(b"Mx1"), "Mx2", ["Mx2"])
    assert (elsewhere.message_id, elsewhere.is_proven) == ("", False)
    assert "another message than Mx2" in elsewhere.remark


@given(st.binary(min_size=1, max_size=140), st.text(max_size=9))
def test_any_octets_prove_nothing(resent: bytes, claimed: str) -> None:
    replaced = replaced_by(resent, claimed, ["Mx1", "\udcff"])
    assert not replaced.is_proven
    assert replaced.message_id in ("", claimed)
    assert bool(replaced.remark) is (resent != b"\x00")

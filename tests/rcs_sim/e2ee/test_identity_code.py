"""The code that two people compare."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.identity_code import VerifiedUser, format_identity_code, hash_to_digits, identity_code

_USERS = st.builds(VerifiedUser, st.text("0123456789", min_size=1, max_size=15), st.binary(min_size=1, max_size=9))


@given(_USERS, _USERS)
def test_both_compute_the_same_code(one: VerifiedUser, other: VerifiedUser) -> None:
    code = identity_code(one, other)
    assert code == identity_code(other, one)
    assert len(code) == 80
    assert code.isdecimal()


def test_the_code_changes_with_a_participant_key() -> None:
    bob = VerifiedUser("12025550102", b"key")
    assert identity_code(VerifiedUser("12025550101", b"a"), bob) != identity_code(
        VerifiedUser("12025550101", b"b"), bob
    )


@pytest.mark.parametrize("user", [VerifiedUser("", b"k"), VerifiedUser("+1", b"k"), VerifiedUser("1", b"")])
def test_without_a_number_or_a_key_there_is_no_code(user: VerifiedUser) -> None:
    with pytest.raises(LocalProtocolError):
        identity_code(user, VerifiedUser("1", b"k"))


def test_it_is_shown_in_sixteen_groups() -> None:
    shown = format_identity_code(hash_to_digits(bytes(63) + b"\x07"))
    assert shown == " ".join(["00000"] * 15 + ["00007"])
    with pytest.raises(LocalProtocolError):
        hash_to_digits(b"")

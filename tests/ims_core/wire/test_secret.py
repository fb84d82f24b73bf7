"""Secret: octets that stay out of logs."""

from __future__ import annotations

import pytest

from ims_core.wire.secret import Secret


def test_repr_and_str_show_the_length_only() -> None:
    secret = Secret(b"do not show")
    assert repr(secret) == str(secret) == "Secret(11 octets)"


def test_secrets_are_equal_by_value_and_hash_alike() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert len({Secret(b"a"), Secret(b"a")}) == 1


def test_text_and_hexadecimal_make_secrets() -> None:
    assert Secret.of_text("é").octets == b"\xc3\xa9"
    assert Secret.of_hex("0aFF").octets == b"\x0a\xff"


def test_bad_hexadecimal_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="hexadecimal") as refused:
        Secret.of_hex("topsecret")
    assert "topsecret" not in str(refused.value)

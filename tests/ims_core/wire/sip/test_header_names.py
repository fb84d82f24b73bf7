"""Header names."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip import header_names
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.header_names import key_of, key_of_line, known_key, read_key


@pytest.mark.parametrize("name", ["Via", "VIA", "via", "v", "V", "vIa", "v ", "Via\t "])
def test_one_key_for_every_spelling(name: str) -> None:
    assert read_key(name) == "via"


@pytest.mark.parametrize("name", ["", " Via", "Vi a", "Via\x00", "é", "Via\r\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SipParseError):
        read_key(name)
    with pytest.raises(LocalProtocolError):
        key_of(name)


def test_a_line_needs_a_colon() -> None:
    assert key_of_line("X-Any: a:b") == "x-any"
    for line in ("Via", "", "Via SIP/2.0"):
        with pytest.raises(SipParseError):
            key_of_line(line)
        assert known_key(line) is None


def test_what_is_remembered_stays_bounded() -> None:
    for number in range(5000):
        read_key(f"X-Never-Heard-{number}")
    assert len(header_names.KEYS) <= header_names._MAX_SPELLINGS
    assert [known_key(name) for name in ("Via:", "f:", "X-Never-Heard-4999:")] == ["via", "from", None]

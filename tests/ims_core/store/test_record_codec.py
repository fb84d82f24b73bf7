from __future__ import annotations

import enum
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.store import __path__ as store_path
from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordType, StoreError
from ims_core.wire.secret import Secret

Impu = NewType("Impu", str)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    number: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Record:
    impu: Impu
    at: float
    is_on: bool
    colour: Colour
    secret: Secret
    inner: Inner | None
    several: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("", 0)
    names: frozenset[str] = frozenset()
    params: Mapping[str, str | None] = field(default_factory=dict)


RECORDS = RecordType("records", Record, lambda record: record.impu)
FULL = Record(
    Impu("sip:a@red"), 1.5, True, Colour.BLUE, Secret(b"\x00\xffkey"), Inner(1, b"\r\n\xfe"),
    (Inner(2, b""), Inner(3, b"x")), ("n", -4), frozenset({"b", "a"}), {"q": None, "expires": "60"},
)  # fmt: skip


def test_every_kind_of_member_comes_back() -> None:
    codec = RecordCodec(RECORDS)
    assert codec.decode(codec.encode(FULL)) == FULL


def test_a_member_that_is_not_stored_yet_takes_its_default_and_an_unknown_one_is_ignored() -> None:
    octets = (
        b'{"impu":"a","at":1,"is_on":false,"colour":"red","secret":"AA==","inner":null,"of_a_newer_version":{"x":1}}'
    )
    assert RecordCodec(RECORDS).decode(octets) == Record(Impu("a"), 1.0, False, Colour.RED, Secret(b"\0"), None)


@given(st.text(alphabet=st.characters()), st.floats(allow_nan=False), st.binary())
def test_any_text_number_and_octets_come_back(text: str, number: float, octets: bytes) -> None:
    codec = RecordCodec(RECORDS)
    record = Record(Impu(text), number, False, Colour.RED, Secret(octets), Inner(0, octets), pair=(text, 1))
    assert codec.decode(codec.encode(record)) == record


def test_octets_that_are_not_utf8_survive_as_surrogates() -> None:
    codec = RecordCodec(RECORDS)
    record = Record(Impu(b"\xff\xfe".decode("utf-8", "surrogateescape")), 0.0, False, Colour.RED, Secret(b""), None)
    assert codec.decode(codec.encode(record)) == record


@given(
    st.binary()
    | st.sampled_from([b"{}", b"[]", b"null", b'{"impu":1}', FULL_JSON := RecordCodec(RECORDS).encode(FULL)[:-9]])
)
def test_octets_that_are_no_record_are_a_store_error(octets: bytes) -> None:
    with pytest.raises(StoreError, match="'records'"):
        RecordCodec(RECORDS).decode(octets)


def test_every_concern_of_the_store_has_a_stored_form() -> None:
    modules = [importlib.import_module(f"ims_core.store.{module.name}") for module in pkgutil.iter_modules(store_path)]
    concerns = {name: value for module in modules for name, value in vars(module).items() if type(value) is RecordType}
    for concern in concerns.values():
        RecordCodec(concern)
    assert len({concern.name for concern in concerns.values()}) == len(concerns) >= 8


def test_a_record_with_a_member_that_has_no_stored_form_is_refused_when_the_program_starts() -> None:
    @dataclass(frozen=True, slots=True)
    class Bad:
        either: int | str

    with pytest.raises(TypeError, match="no stored form"):
        RecordCodec(RecordType("bad", Bad, lambda record: ""))

"""The base of the typed headers."""

from __future__ import annotations

from ims_core.wire.sip import headers
from ims_core.wire.sip.header import COMPACT_FORMS, Header, TokenList, split_params
from ims_core.wire.sip.header_names import key_of


def test_every_typed_header_has_its_canonical_name() -> None:
    for name in headers.__all__:
        kind = getattr(headers, name)
        if issubclass(kind, Header) and "KEY" in vars(kind):
            assert kind.KEY == kind.NAME.lower() == key_of(kind.NAME)


def test_every_compact_form_is_one_letter() -> None:
    assert all(len(letter) == 1 for letter in COMPACT_FORMS)
    assert COMPACT_FORMS["v"] == "via"


def test_lists_of_tokens_keep_their_order() -> None:
    assert TokenList.parse(" b,a ").tokens == ("b", "a")


def test_a_value_is_parted_from_its_parameters() -> None:
    value, params = split_params("reg ; id=1")
    assert (value, params.get("id")) == ("reg", "1")


def test_the_values_of_several_fields_come_in_one_row() -> None:
    routes = headers.Route.values_of(("<sip:a;lr>, <sip:b>", "", "<sip:c>"))
    assert [str(route.uri) for route in routes] == ["sip:a;lr", "sip:b", "sip:c"]

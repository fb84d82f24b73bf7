"""Edits of a message."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.headers import (
    Allow,
    Authorization,
    ContentLength,
    MaxForwards,
    RecordRoute,
    Route,
    Supported,
    Via,
)
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram

_HEAD = (
    "MESSAGE sip:b@x SIP/2.0\r\n"
    "v: SIP/2.0/UDP a;branch=z9hG4bK1,\r\n SIP/2.0/UDP b;branch=z9hG4bK2\r\n"
    "Max-Forwards:  70\r\n"
    "Route: <sip:p1;lr>, <sip:u,v@p2;lr>\r\n"
    "X-Other: kept  as\r\n\tit is\r\n"
    "Route: <sip:p3;lr>\r\n"
    "l: 2\r\n\r\n"
)


def _request() -> Request:
    message = parse_datagram((_HEAD + "hi").encode())
    assert isinstance(message, Request)
    return message


def _lines(message: Request) -> list[str]:
    return message.encode().decode().split("\r\n")


def test_an_edit_leaves_every_other_octet() -> None:
    edited = _request().edit().set(MaxForwards(69)).done()
    assert edited.encode().decode() == (_HEAD + "hi").replace("Max-Forwards:  70", "Max-Forwards: 69")
    assert _request().encode().decode() == _HEAD + "hi"


def test_the_source_of_an_edit_does_not_change() -> None:
    request = _request()
    request.edit().set(MaxForwards(1)).remove("Route").body(b"other").done()
    assert request.encode().decode() == _HEAD + "hi"
    assert len(request.get_all(Route)) == 3


def test_set_replaces_all_fields_at_the_place_of_the_first() -> None:
    edited = _request().edit().set(Route.of("sip:only;lr")).done()
    assert edited.names() == ("via", "max-forwards", "route", "x-other", "content-length")
    assert [str(route) for route in edited.get_all(Route)] == ["<sip:only;lr>"]


def test_set_of_an_absent_header_appends_it() -> None:
    edited = _request().edit().set("X-New", "1").done()
    assert edited.names()[-1] == "x-new"


def test_push_puts_a_value_above_the_first() -> None:
    edited = _request().edit().push(Via.parse("SIP/2.0/TCP proxy;branch=z9hG4bK0")).done()
    assert edited.top_via.host == "proxy"
    assert [via.host for via in edited.get_all(Via)] == ["proxy", "a", "b"]
    assert _lines(_request().edit().push(RecordRoute.of("sip:p;lr")).done())[1] == "Record-Route: <sip:p;lr>"


def test_append_puts_a_value_below_the_last() -> None:
    edited = _request().edit().append(Route.of("sip:p4;lr")).done()
    assert [str(route) for route in edited.get_all(Route)][-1] == "<sip:p4;lr>"
    assert edited.names().index("content-length") == len(edited.names()) - 1


def test_pop_takes_one_value_at_a_time() -> None:
    editor = _request().edit()
    left = []
    for _ in range(4):
        left.append([str(route) for route in editor.pop(Route).done().get_all(Route)])
    assert left == [["<sip:u,v@p2;lr>", "<sip:p3;lr>"], ["<sip:p3;lr>"], [], []]


def test_pop_takes_the_first_of_a_folded_list() -> None:
    edited = _request().edit().pop("Via").done()
    assert [via.host for via in edited.get_all(Via)] == ["b"]


def test_pop_of_a_header_whose_commas_part_nothing_takes_the_field() -> None:
    request = _request().edit().set(Authorization.digest({"a": "1", "b": "2"})).done()
    assert not request.edit().pop(Authorization).done().has("Authorization")


def test_remove_takes_every_field_by_any_name() -> None:
    edited = _request().edit().remove("VIA", Route, "none").done()
    assert edited.names() == ("max-forwards", "x-other", "content-length")


def test_a_new_body_has_its_length_and_type() -> None:
    edited = _request().edit().body("grüß".encode(), "text/plain;charset=UTF-8").done()
    assert edited.require(ContentLength).value == 6
    assert edited.text("Content-Type") == "text/plain;charset=UTF-8"
    emptied = edited.edit().body(b"").done()
    assert emptied.text("Content-Length") == "0"
    assert not emptied.has("Content-Type")


def test_a_message_without_content_length_gets_one() -> None:
    message = parse_datagram(b"MESSAGE sip:b@x SIP/2.0\r\nX: 1\r\n\r\nhello")
    assert message.edit().done().encode() == b"MESSAGE sip:b@x SIP/2.0\r\nX: 1\r\nContent-Length: 5\r\n\r\nhello"


def test_start_lines() -> None:
    edited = _request().edit().request_uri("tel:+12025550102").done()
    assert (edited.method, edited.request_uri_text, str(edited.request_uri)) == (
        "MESSAGE",
        "tel:+12025550102",
        "tel:+12025550102",
    )
    response = Response.new(200).edit().start(480).done()
    assert (response.status, response.reason) == (480, "Temporarily Unavailable")


def test_an_edited_message_reads_its_new_values() -> None:
    request = _request().edit().set(Supported(("path",))).done()
    assert "path" in request.require(Supported)
    assert "gruu" in request.edit().append("k", "gruu").done().require(Supported)


@pytest.mark.parametrize("text", ["1\r\nVia: x", "a\nb", "a\rb", "\0"])
def test_a_value_cannot_inject_a_header(text: str) -> None:
    editor = _request().edit()
    for edit in (editor.set, editor.push, editor.append):
        with pytest.raises(LocalProtocolError):
            edit("X-Any", text)


@pytest.mark.parametrize("name", ["X\r\nVia", "X:", "", "X Y", "é"])
def test_a_name_cannot_inject_a_header(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        _request().edit().set(name, "1")


@pytest.mark.parametrize("uri", ["", "sip:a b", "sip:a\r\n", "sip:a\tb"])
def test_a_request_uri_cannot_inject_anything(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        _request().edit().request_uri(uri)


def test_an_empty_value_is_written() -> None:
    assert "Allow: " in _lines(_request().edit().set(Allow()).done())


def test_the_first_value_of_a_list_is_replaced_and_the_rest_stays() -> None:
    edited = _request().edit().replace_first(Via.parse("SIP/2.0/TCP c;branch=z9hG4bK3")).done()
    assert [str(via) for via in edited.get_all(Via)] == [
        "SIP/2.0/TCP c;branch=z9hG4bK3",
        "SIP/2.0/UDP b;branch=z9hG4bK2",
    ]
    again = edited.edit().replace_first(Via.parse("SIP/2.0/TCP d")).done()
    assert [via.host for via in again.get_all(Via)] == ["d", "b"]
    assert again.names().index("via") == 0

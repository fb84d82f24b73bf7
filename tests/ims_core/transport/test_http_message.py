"""HTTP values: look-ups that no peer can make fail."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.http_message import HttpMessageError, HttpRequest, HttpResponse, SetCookie


def _request(target: str = "/", *headers: tuple[str, str]) -> HttpRequest:
    return HttpRequest("GET", target, headers)


def test_headers_are_found_without_regard_to_case() -> None:
    assert _request("/", ("X-MSISDN", "1")).header("x-msisdn") == "1"
    assert HttpResponse(503, (("retry-after", "5"),)).header("Retry-After") == "5"
    assert HttpResponse(200).header("Date") is None


def test_query_keeps_order_blank_values_and_repeats() -> None:
    request = _request("/cfg?vers=0&token=&app=ap2001&app=ap2002&msisdn=%2B12025550101")
    assert request.path == "/cfg"
    assert request.query() == (
        ("vers", "0"),
        ("token", ""),
        ("app", "ap2001"),
        ("app", "ap2002"),
        ("msisdn", "+12025550101"),
    )


def test_broken_percent_escapes_are_kept_and_bad_utf8_is_replaced() -> None:
    assert _request("/?a=%zz&b=%ff").query() == (("a", "%zz"), ("b", "�"))


@pytest.mark.parametrize("target", ["/?" + "a" * 9000, "/?" + "a=1&" * 500])
def test_oversized_queries_are_refused(target: str) -> None:
    with pytest.raises(HttpMessageError):
        _request(target).query()


def test_cookies_of_several_fields_are_read_in_order() -> None:
    request = _request("/", ("Cookie", 'a=1; b="2"; junk'), ("cookie", "c=3=3"))
    assert request.cookies() == (("a", "1"), ("b", "2"), ("c", "3=3"))
    assert request.cookie("c") == "3=3"
    assert request.cookie("z") is None


def test_set_cookie_is_read_with_its_removal() -> None:
    response = HttpResponse(
        200, (("Set-Cookie", "s=1; Path=/; HttpOnly"), ("set-cookie", "t=; Max-Age=0"), ("Set-Cookie", "nonsense"))
    )
    assert response.set_cookies() == (SetCookie("s", "1"), SetCookie("t", "", is_removal=True))


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_gives_a_value_or_the_modules_own_error(target: str, cookie: str) -> None:
    request = _request(target, ("Cookie", cookie))
    request.cookies()
    HttpResponse(200, (("Set-Cookie", cookie),)).set_cookies()
    with contextlib.suppress(HttpMessageError):
        request.query()


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a/b?c=/d", "/a/b"),
        ("http://config.example/a?b", "/a"),
        ("HTTPS://config.example:8443?b", ""),
        ("http://config.example", ""),
        ("*", "*"),
        ("ftp://x/a", "ftp://x/a"),
    ],
)
def test_the_path_is_that_of_the_target_in_origin_or_absolute_form(target: str, path: str) -> None:
    assert HttpRequest("GET", target).path == path

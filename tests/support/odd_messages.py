"""Messages in the manner of RFC 4475 and RFC 5118 that are in neither: valid but odd ones, and broken ones.

Each is an OPTIONS to the P-CSCF itself that would get 200, with one thing about it changed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ODD_MESSAGES", "OddMessage"]

_HOST = "127.0.1.10"
_PLAIN = {
    "start": f"OPTIONS sip:{_HOST} SIP/2.0",
    "via": "Via: SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK@R;rport",
    "forwards": "Max-Forwards: 70",
    "sender": "From: <sip:a@example.com>;tag=1",
    "to": f"To: <sip:{_HOST}>",
    "call_id": "Call-ID: @R@x",
    "cseq": "CSeq: 1 OPTIONS",
    "more": "",
    "length": "Content-Length: 0",
}


@dataclass(frozen=True, slots=True)
class OddMessage:
    """*statuses* that may answer it, none if it is to get no answer; *ends_stream* where its length cannot be told."""

    name: str
    statuses: frozenset[int]
    text: str
    ends_stream: bool

    def octets(self, transport: str, word: str) -> bytes:
        return self.text.replace("@T", transport).replace("@R", word).encode("utf-8", "surrogateescape")


def _case(name: str, *statuses: int, body: str = "", ends_stream: bool = False, **changed: str) -> OddMessage:
    """*changed* are lines by their names in `_PLAIN`; an empty one is left out."""
    lines = [line for line in {**_PLAIN, **changed}.values() if line]
    return OddMessage(name, frozenset(statuses), "\r\n".join(lines) + "\r\n\r\n" + body, ends_stream)


def _register(name: str, *statuses: int, **changed: str) -> OddMessage:
    home = "ims.mnc001.mcc001.3gppnetwork.org"
    usual = {
        "start": f"REGISTER sip:{home} SIP/2.0",
        "sender": f"From: <sip:+12025550101@{home}>;tag=1",
        "to": f"To: <sip:+12025550101@{home}>",
        "cseq": "CSeq: 1 REGISTER",
    }
    lines = {**usual, **changed}
    return _case(name, *statuses, body="", ends_stream=False, **lines)


def _start(name: str, status: int, uri: str) -> OddMessage:
    return _case(name, status, start=f"OPTIONS {uri} SIP/2.0")


_VALID = (
    _case("compact", 200, via="v:SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK@R;rport", call_id="i:@R", length="l:0",
          sender="f:<sip:a@example.com>;tag=1", to=f"t:<sip:{_HOST}>"),
    _case("compact-upper", 200, via="V:SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK@R;rport", call_id="I:@R", length="L:0",
          sender="F:<sip:a@example.com>;tag=1", to=f"T:<sip:{_HOST}>"),
    _case("names-in-any-case", 200, forwards="mAX-fORWARDS: 70", call_id="cALL-iD: @R", cseq="cSEQ: 1 OPTIONS",
          length="CONTENT-length: 0"),
    _case("white-before-colon", 200, via="Via \t : SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK@R;rport",
          call_id="Call-ID : @R", cseq="CSeq \t: 1 OPTIONS", length="Content-Length\t:\t0"),
    _case("folded", 200, via="Via:\r\n SIP/2.0/@T\r\n\t192.0.2.9:5090\r\n ;branch=z9hG4bK@R\r\n  ;rport",
          call_id="Call-ID:\r\n @R", cseq="CSeq:\r\n 1\r\n OPTIONS", length="Content-Length:\r\n 0"),
    _case("white-in-via", 200, via="Via: SIP / 2.0 / @T   192.0.2.9:5090 ; branch = z9hG4bK@R ; rport"),
    _case("cseq-leading-zeros", 200, cseq="CSeq: 0000000001 OPTIONS"),
    _case("cseq-largest", 200, cseq="CSeq: 2147483647 OPTIONS"),
    _case("cseq-zero", 200, cseq="CSeq: 0 OPTIONS"),
    _case("from-addr-spec", 200, sender="From: sip:a@example.com;tag=1"),
    _case("from-words", 200, sender="From: Big Bird * ~ <sip:a@example.com>;tag=1"),
    _case("from-nothing-before-bracket", 200, sender="From: caller<sip:a@example.com>;tag=1"),
    _case("from-quoted-traps", 200, sender='From: "a\\"b\\\\ <sip:x@y>;tag=9, z" <sip:a@example.com>;tag=1'),
    _case("from-empty-quotes", 200, sender='From: ""<sip:a@example.com>;tag=1'),
    _case("from-utf8", 200, sender='From: "J\u00fcrgen \u4e2d\u6587" <sip:a@example.com>;tag=1'),
    _case("from-white-in-params", 200, sender='From: <sip:a@example.com> ; tag = 1 ; x = "y;z"'),
    _case("from-tel", 200, sender="From: <tel:+1-201-555-0123;ext=5>;tag=1"),
    _case("from-http", 200, sender="From: <http://example.com/?q=a&b=c>;tag=1"),
    _case("from-empty-password", 200, sender="From: <sip:a:@example.com>;tag=1"),
    _case("from-ipv6", 200, sender="From: <sip:a@[2001:DB8::1]:5060>;tag=1"),
    _case("from-odd-user", 200, sender="From: <sip:a&=+$,;?/b:p&=+$,w@example.com>;tag=1"),
    _case("from-escaped-user", 200, sender="From: <sip:%61%40%2f%00@example.com>;tag=1"),
    _case("call-id-odd-word", 200, call_id="Call-ID: ()<>:\\/[]?{}!%*_+`'~.-@R@%\""),
    _case("branch-odd-token", 200, via="Via: SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK-_.!%*+`'~@R;rport"),
    _case("branch-upper-name", 200, via="Via: SIP/2.0/@T 192.0.2.9:5090;BRANCH=z9hG4bK@R;RPORT"),
    _case("no-magic-cookie", 200, via="Via: SIP/2.0/@T 192.0.2.9:5090;branch=1234@R;rport"),
    _case("no-branch", 200, via="Via: SIP/2.0/@T 192.0.2.9:5090;rport"),
    _case("bare-cookie", 200, via="Via: SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK;rport"),
    _case("via-unknown-transport", 200, via="Via: SIP/2.0/FOO 192.0.2.9:5090;branch=z9hG4bK@R;rport"),
    _case("via-name", 200, via="Via: SIP/2.0/@T pc33.atlanta.example.:5090;branch=z9hG4bK@R;rport"),
    _case("via-received-ipv6", 200, via="Via: SIP/2.0/@T [2001:db8::9:1]:5090;branch=z9hG4bK@R;rport;"
          "received=[2001:db8::9:255]"),
    _case("via-received-ipv6-bare", 200, via="Via: SIP/2.0/@T [2001:db8::9:1]:5090;branch=z9hG4bK@R;rport;"
          "received=2001:db8::9:255"),
    _case("via-ipv4-mapped", 200, via="Via: SIP/2.0/@T [::ffff:192.0.2.10]:5090;branch=z9hG4bK@R;rport"),
    _case("via-quoted-parameter", 200, via='Via: SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK@R;rport;ext="a,b;c"'),
    _case("via-list", 200, via="Via: SIP/2.0/@T 192.0.2.9:5090;branch=z9hG4bK@R;rport,SIP/2.0/UDP 1.2.3.4;branch=a ,"
          "\r\n SIP/2.0/SCTP h;branch=z9hG4bKb"),
    _case("forwards-leading-zeros", 200, forwards="Max-Forwards: 0068"),
    _case("forwards-largest", 200, forwards="Max-Forwards: 255"),
    _case("no-forwards", 200, forwards=""),
    _case("unknown-fields", 200, more="X-Foo:   \r\nY!%*_+`'~.-: :::;;,,\"unbalanced"),
    _case("empty-values", 200, more="Subject:\r\nSupported:\r\nAccept:\r\nOrganization: "),
    _case("bad-date", 200, more="Date: tomorrow"),
    _case("scheme-upper", 200, start=f"OPTIONS SIP:{_HOST} SIP/2.0"),
    _case("uri-parameters", 200, start=f"OPTIONS sip:{_HOST};transport=tcp;x=y%20 SIP/2.0"),
    _case("version-lower", 200, start=f"OPTIONS sip:{_HOST} sip/2.0"),
    _case("blank-lines-before", 200, start=f"\r\n\r\nOPTIONS sip:{_HOST} SIP/2.0"),
    _case("unknown-body", 200, more="Content-Type: application/x-foo", length="Content-Length: 5", body="a\0\x01\x7fz"),
    _case("contacts-of-options", 200, more='Contact: "x" <sip:a@1.2.3.4;transport=udp>;q=0.5;+foo="<a,b>", sip:b@c'),
    _case("many-fields", 200, more="\r\n".join(f"X-{number}: y" for number in range(190))),
    _case("long-field", 200, more="X-Long: " + "z" * 12_000),
    _case("known-proxy-require", 200, more="Proxy-Require: sec-agree"),
)  # fmt: skip

_BROKEN = (
    _case("no-from", 400, sender=""),
    _case("no-to", 400, to=""),
    _case("no-call-id", 400, call_id=""),
    _case("no-cseq", 400, cseq=""),
    _case("two-from", 400, more="f: <sip:b@example.com>;tag=2"),
    _case("two-to", 400, more="t: <sip:b@example.com>"),
    _case("two-call-ids", 400, more="i: foo"),
    _case("two-cseqs", 400, more="CSeq: 1 OPTIONS"),
    _case("two-max-forwards", 400, more="Max-Forwards: 60"),
    _case("two-content-types", 400, more="c: a/b\r\nContent-Type: a/b"),
    _case("from-list", 400, sender="From: <sip:a@example.com>;tag=1, <sip:b@example.com>;tag=2"),
    _case("call-id-white", 400, call_id="Call-ID: a b@R"),
    _case("call-id-empty", 400, call_id="Call-ID:"),
    _case("call-id-two-at", 400, call_id="Call-ID: a@b@c@R"),
    _case("cseq-negative", 400, cseq="CSeq: -1 OPTIONS"),
    _case("cseq-too-large", 400, cseq="CSeq: 2147483648 OPTIONS"),
    _case("cseq-no-method", 400, cseq="CSeq: 1"),
    _case("cseq-other-method", 400, cseq="CSeq: 1 INVITE"),
    _case("cseq-method-case", 400, cseq="CSeq: 1 options"),
    _case("cseq-hex", 400, cseq="CSeq: 0x1 OPTIONS"),
    _case("forwards-too-large", 400, forwards="Max-Forwards: 256"),
    _case("forwards-negative", 400, forwards="Max-Forwards: -1"),
    _case("forwards-empty", 400, forwards="Max-Forwards:"),
    _case("forwards-used-up", 483, forwards="Max-Forwards: 0"),
    _start("scheme-unknown", 416, "foo:bar"),
    _start("scheme-http", 416, "http://a/b"),
    _start("scheme-mailto", 416, "mailto:a@b"),
    _start("uri-in-brackets", 400, f"<sip:{_HOST}>"),
    _start("uri-headers", 400, f"sip:{_HOST}?Subject=x"),
    _start("uri-bad-escape", 400, f"sip:%zz@{_HOST}"),
    _start("uri-bad-port", 400, "sip:a@example.com:99999"),
    _start("uri-negative-port", 400, "sip:a@example.com:-5"),
    _start("uri-no-host", 400, "sip:a@"),
    _start("uri-bad-host", 400, "sip:a@exa_mple..com"),
    _start("uri-bad-ipv6", 400, "sip:a@[2001:db8:::1]"),
    _start("uri-bare-ipv6", 400, "sip:a@2001:db8::1"),
    _start("uri-white", 400, "sip:a b@example.com"),
    _start("uri-two-blanks", 400, f" sip:{_HOST}"),
    _start("uri-tel-letters", 400, "tel:+12abz"),
    _case("blank-at-end", 400, start=f"OPTIONS sip:{_HOST} SIP/2.0 "),
    _case("version-3", 505, start=f"OPTIONS sip:{_HOST} SIP/3.0"),
    _case("version-2.1", 505, start=f"OPTIONS sip:{_HOST} SIP/2.1"),
    _case("method-no-token", 400, start=f"OPT(IONS) sip:{_HOST} SIP/2.0", cseq="CSeq: 1 OPT(IONS)"),
    _case("method-unknown", 403, start=f"FOO sip:{_HOST} SIP/2.0", cseq="CSeq: 1 FOO"),
    _case("to-no-end", 400, to="To: <sip:a@example.com"),
    _case("to-no-quote", 400, to='To: "Watson, Thomas <sip:a@example.com>'),
    _case("to-no-uri", 400, to="To: Bob"),
    _case("from-no-semicolon", 400, sender="From: <sip:a@example.com>tag=1"),
    _case("from-bare-comma", 400, sender="From: Bell, Alex <sip:a@example.com>;tag=1"),
    _case("from-blank-in-brackets", 400, sender="From: < sip:a@example.com >;tag=1"),
    _case("empty-branch", 400, via="Via: SIP/2.0/@T 192.0.2.9:5090;branch=;rport"),
    _case("no-via", via=""),
    _case("no-colon", 400, more="This is not a header"),
    _case("no-name", 400, more=": value"),
    _case("name-with-blank", 400, more="Foo Bar: x"),
    _case("name-with-control", 400, more="Fo\x01o: x"),
    _case("bare-lf", 400, more="X-A: a\nX-B: b", ends_stream=True),
    _case("bare-cr", 400, more="X-A: a\rX-B: b", ends_stream=True),
    _case("contact-no-end", 400, more="Contact: <sip:a@b"),
    _case("proxy-require", 420, more="Proxy-Require: foo\r\nProxy-Require: bar"),
    _case("require", 420, more="Require: foo"),
    _case("length-negative", 400, length="Content-Length: -999", ends_stream=True),
    _case("length-word", 400, length="Content-Length: ten", ends_stream=True),
    _case("length-plus", 400, length="Content-Length: +0", ends_stream=True),
    _case("lengths-differ", 400, length="Content-Length: 0\r\nContent-Length: 1", ends_stream=True),
    _case("length-list", 400, length="Content-Length: 0, 0", ends_stream=True),
    _case("too-many-fields", 513, more="\r\n".join(f"X-{number}: y" for number in range(250))),
    _case("head-too-long", 513, more="X-Long: " + "z" * 20_000, ends_stream=True),
    _case("route-no-end", 400, more="Route: <sip:a@b"),
    _case("cancel-of-nothing", 481, start=f"CANCEL sip:{_HOST} SIP/2.0", cseq="CSeq: 1 CANCEL"),
    _case("ack-of-nothing", start=f"ACK sip:{_HOST} SIP/2.0", cseq="CSeq: 1 ACK"),
    *(_case(f"stray-{method.lower()}", 481, start=f"{method} sip:b@example.com SIP/2.0", cseq=f"CSeq: 1 {method}")
      for method in ("BYE", "INFO", "PRACK", "UPDATE")),
    *(_case(f"stranger-{method.lower()}", 403, start=f"{method} sip:b@example.com SIP/2.0", cseq=f"CSeq: 1 {method}")
      for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER")),
    _register("register-without-contact", 401),
    _register("register-of-a-number", 401, to="To: <tel:+1-202-555-0101>",
              sender="From: <tel:+12025550101>;tag=1"),
    _register("register-with-basic", 401, more="Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    _register("register-with-half-credentials", 400, more="Authorization: Digest username="),
    _register("register-expires-negative", 401, more="Expires: -1"),  # challenged first
    _register("register-elsewhere", 504, start="REGISTER sip:nowhere.example SIP/2.0"),
)  # fmt: skip

ODD_MESSAGES = (*_VALID, *_BROKEN)

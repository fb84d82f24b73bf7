"""Parser rows: an IMS REGISTER of 876 octets and a pager MESSAGE of 1184, beside the PyPI library `sipmessage`."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.wire.sip.headers import CSeq, From, MaxForwards, Route, To, Via
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.bench.row import Measured, Unmeasured, cpu_and_wall_us

__all__ = ["measure_parser", "measure_proxy_step", "message_octets", "register_octets"]

_COUNT = 4000
_HOME = "ims.mnc001.mcc001.3gppnetwork.org"


def register_octets(number: int) -> bytes:
    """A first REGISTER as an IMS phone sends it; branch, tag, Call-ID and instance differ with *number*."""
    text = (
        f"REGISTER sip:{_HOME} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bK-524287-1---{number:016x};rport\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:+12025550101@{_HOME}>;tag=a{number:08x}\r\n"
        f"To: <sip:+12025550101@{_HOME}>\r\n"
        f"Call-ID: {number:08x}-7dec-11d0@127.0.0.1\r\n"
        f"CSeq: {number + 1} REGISTER\r\n"
        "Contact: <sip:+12025550101@127.0.0.1:15060;transport=udp>"
        f';+sip.instance="<urn:gsma:imei:{number % 10**8:08d}-025763-0>"'
        ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";+g.oma.sip-im;expires=600000\r\n'
        f'Authorization: Digest username="001010000000101@{_HOME}",realm="{_HOME}",nonce="",uri="sip:{_HOME}",'
        'response=""\r\n'
        "Supported: path,gruu\r\n"
        "Allow: INVITE,ACK,CANCEL,BYE,MESSAGE,OPTIONS,NOTIFY\r\n"
        "Expires: 600000\r\n"
        "Content-Length: 0\r\n"
    )
    return _padded(text, b"", 876)


def message_octets(number: int) -> bytes:
    """A pager MESSAGE with CPIM as an S-CSCF receives it from a P-CSCF."""
    body = (
        "From: <sip:anonymous@anonymous.invalid>\r\nTo: <sip:anonymous@anonymous.invalid>\r\n"
        f"NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: {number:020x}\r\nDateTime: 2026-11-22T13:40:00-04:00\r\n"
        "imdn.Disposition-Notification: positive-delivery, display\r\n\r\n"
        "Content-Type: text/plain; charset=UTF-8\r\nContent-Length: 22\r\n\r\nHello, RCS! éèà ok."
    ).encode()
    text = (
        f"MESSAGE sip:+13025550101@{_HOME};user=phone SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:15060;branch=z9hG4bK-524287-1---{number:016x};rport\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.2:15062;branch=z9hG4bK{number:08x};received=127.0.0.2\r\n"
        "Max-Forwards: 68\r\n"
        f"Route: <sip:pcscf.{_HOME};lr>, <sip:orig@scscf.{_HOME};lr>\r\n"
        f'From: "Alice" <sip:+12025550101@{_HOME}>;tag=9f{number:08x}\r\n'
        "To: <tel:+13025550101>\r\n"
        f"Call-ID: {number:08x}8276298220188511@{_HOME}\r\n"
        f"CSeq: {number + 1} MESSAGE\r\n"
        f"P-Asserted-Identity: <sip:+12025550101@{_HOME}>\r\n"
        'Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"\r\n'
        f"Conversation-ID: {number:08x}-7dec-11d0\r\n"
        "Content-Type: message/cpim\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    return _padded(text, body, 1184)


def _padded(head: str, body: bytes, octets: int) -> bytes:
    """The message with a User-Agent that makes it *octets* long."""
    spare = octets - len(head.encode()) - len(body) - len("User-Agent: \r\n\r\n")
    agent = ("IM-client/OMA1.0 " + "x" * max(0, spare))[: max(0, spare)]
    return f"{head}User-Agent: {agent}\r\n\r\n".encode() + body


def _read_and_encode(octets: bytes) -> bytes:
    message = parse_datagram(octets)
    assert isinstance(message, Request)
    _ = message.method, message.call_id, message.get(CSeq), message.get(Via), message.get(From), message.get(To)
    return message.encode()


def _peer() -> Callable[[bytes], bytes] | None:
    try:
        import sipmessage
    except ImportError:
        return None

    def read_and_encode(octets: bytes) -> bytes:
        message = sipmessage.Message.parse(octets)
        assert isinstance(message, sipmessage.Request)
        _ = message.method, message.call_id, message.cseq, message.via[0], message.from_address, message.to_address
        return bytes(message)

    return read_and_encode


def measure_parser(repeat: int) -> list[Measured | Unmeasured]:
    peer = _peer()
    rows: list[Measured | Unmeasured] = []
    for title, make in (("876-octet REGISTER", register_octets), ("1184-octet MESSAGE with CPIM", message_octets)):
        octets = [make(number) for number in range(_COUNT)]
        ours, wall = cpu_and_wall_us(lambda index, many=octets: _read_and_encode(many[index]), _COUNT, repeat)  # type: ignore[misc]  # default binds the loop variable
        theirs = None
        if peer is not None:
            theirs, _ = cpu_and_wall_us(lambda index, many=octets: peer(many[index]), _COUNT // 4, repeat)  # type: ignore[misc]  # default binds the loop variable
        rows.append(
            Measured(
                row="parse",
                what=f"{title}: parse, read six, serialise",
                value=ours,
                unit="µs CPU",
                limit=None if theirs is None else theirs / 3,
                peer="sipmessage" if theirs is not None else "sipmessage is not installed",
                peer_value=theirs,
                wall=f"{1e6 / wall:,.0f}/s",
                method=f"{_COUNT} different messages of {len(octets[0])} octets",
            )
        )
    return rows


def _proxy_step(octets: bytes, via: str) -> bytes:
    request = parse_datagram(octets)
    assert isinstance(request, Request)
    hops = request.require(MaxForwards)
    return request.edit().set(MaxForwards(hops.value - 1)).pop(Route).push("Via", via).done().encode()


def measure_proxy_step(repeat: int) -> list[Measured | Unmeasured]:
    octets = [message_octets(number) for number in range(_COUNT)]
    vias = [f"SIP/2.0/TCP 127.0.1.12:5060;branch=z9hG4bK{number:016x}" for number in range(_COUNT)]
    cpu, wall = cpu_and_wall_us(lambda index: _proxy_step(octets[index], vias[index]), _COUNT, repeat)
    return [
        Measured(
            row="proxy-step",
            what="stateless proxy step of the MESSAGE",
            value=cpu,
            unit="µs CPU",
            limit=45.0,
            wall=f"{1e6 / wall:,.0f}/s",
            method="parse, Max-Forwards, pop Route, push Via, serialise",
        )
    ]

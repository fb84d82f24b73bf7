"""Third-party REGISTER: how an application server learns of registrations (TS 24.229 §5.4.1.7)."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.wire.sip.message import Request, Response

__all__ = ["third_party_register"]

_KEPT_TO_CORE = ("P-Access-Network-Info", "P-Charging-Vector", "P-Visited-Network-ID")
_SECRET = ("Authorization", "Proxy-Authorization")  # of the UE; no server needs them


def third_party_register(
    server_uri: str,
    *,
    scscf_uri: str,
    impu: str,
    expires_s: int,
    call_id: str,
    cseq: int,
    tag: str,
    register: Request | None = None,
    answer: Response | None = None,
) -> Request:
    """The REGISTER for one server. *register* (of the UE) and *answer* (the 200 to it) become message/sip parts, first
    the one, then the other; either may be missing, and then what is there is embedded."""
    headers = [
        ("Max-Forwards", "70"),
        ("From", f"<{scscf_uri}>;tag={tag}"),
        ("To", f"<{impu}>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
        ("Contact", f"<{scscf_uri}>"),
        ("Expires", str(expires_s)),
    ]
    if register is not None:
        headers += [(name, text) for name in _KEPT_TO_CORE for text in register.texts(name)]
        register = register.edit().remove(*_SECRET).done()
    parts = [message.encode() for message in (register, answer) if message is not None]
    if not parts:
        return Request.new("REGISTER", server_uri, headers)
    boundary = _boundary(parts, call_id, cseq)
    return Request.new(
        "REGISTER", server_uri, headers, _multipart(parts, boundary), f'multipart/mixed;boundary="{boundary}"'
    )


def _boundary(parts: Iterable[bytes], call_id: str, cseq: int) -> str:
    """A boundary that occurs in no part (RFC 2046 §5.1.1)."""
    octets = b"".join(parts)
    word = "".join(character for character in call_id if character.isalnum())[:24]
    number = cseq
    while (boundary := f"3p-{word}-{number}").encode() in octets:
        number += 1
    return boundary


def _multipart(parts: Iterable[bytes], boundary: str) -> bytes:
    lines = [b"--%s\r\nContent-Type: message/sip\r\n\r\n%s\r\n" % (boundary.encode(), part) for part in parts]
    return b"".join(lines) + b"--%s--\r\n" % boundary.encode()

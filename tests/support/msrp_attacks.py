"""What a hostile peer writes to an MSRP relay: random, cut, wrong and endless frames."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["frame", "mutated", "streams"]

_HEADS = (
    "Byte-Range: 0-0/0",
    "Byte-Range: 5-1/5",
    "Byte-Range: 1-*/99999999999999999999",
    "Byte-Range: 99999999999999999999-*/*",
    "Failure-Report: perhaps",
    "Success-Report: yes",
    "Status: 000 999 x",
    "Expires: -1",
    "Content-Type: ",
    "To-Path: msrp://nobody.invalid;tcp",
    "\x01: \x02",
)
_METHODS = ("SEND", "REPORT", "AUTH", "NICKNAME", "send", "200", "999 x", "")


def frame(
    to: str,
    sender: str,
    body: bytes | None = b"hello",
    *,
    method: str = "SEND",
    transaction_id: str = "tid00001",
    lines: Sequence[str] = (),
    flag: str = "$",
) -> bytes:
    """A frame with these paths, right or wrong."""
    size = 0 if body is None else len(body)
    head = [f"MSRP {transaction_id} {method}", f"To-Path: {to}", f"From-Path: {sender}", "Message-ID: m-hostile"]
    head += list(lines) or [f"Byte-Range: 1-{size}/{size}"]
    content = b"" if body is None else b"\r\nContent-Type: text/plain\r\n\r\n" + body
    end = f"\r\n-------{transaction_id}{flag}\r\n"
    return "\r\n".join(head).encode() + content + end.encode()


def mutated(octets: bytes, dice: random.Random) -> bytes:
    """The same with a few octets changed, lost, doubled or moved."""
    changed = bytearray(octets)
    for _ in range(dice.randrange(1, 6)):
        if not changed:
            break
        at, size = dice.randrange(len(changed)), dice.randrange(1, 30)
        match dice.randrange(4):
            case 0:
                changed[at] = dice.randrange(256)
            case 1:
                del changed[at : at + size]
            case 2:
                changed[at:at] = changed[at : at + size]
            case _:
                changed[at:at] = dice.choice((b"\r\n", b"\r\n\r\n", b"\r\n-------tid00001$\r\n", b" ", b"\0", b"\xff"))
    return bytes(changed)


def streams(paths: Sequence[tuple[str, str]], dice: random.Random) -> Iterator[bytes]:
    """What somebody may write at once. *paths* are To-Path and From-Path of sessions, such as those of others."""
    yield dice.randbytes(30_000)
    yield b"\r\n" * 40_000
    yield b"MSRP " * 10_000
    yield b"MSRP tid00001 SEND\r\n" + b"X-Y: z\r\n" * 20_000
    yield b"\x16\x03\x01\x02\x00\x01\x00" + bytes(600)
    for to, sender in paths:
        whole = frame(to, sender, dice.randbytes(3000))
        yield whole
        yield whole[: dice.randrange(len(whole))]
        yield frame(to, "msrp://192.0.2.1:9/stranger;tcp")
        yield frame(to + " " + to, sender)
        yield frame(to, " ".join([sender] * 40))
        yield frame(to, sender, None, method="AUTH", lines=("Authorization: Digest x",))
        yield b"".join(frame(to, sender, b"x", transaction_id=f"tid{number:05}") for number in range(200))
        yield from (frame(to, sender, method=method, lines=(line,)) for method in _METHODS for line in _HEADS)
        yield from (mutated(whole, dice) for _ in range(40))
        yield frame(to, sender, bytes(100_000))[:-20] + dice.randbytes(200_000)

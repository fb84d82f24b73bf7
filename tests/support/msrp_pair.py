"""Two ends of a message session on a wire that a test cuts, slows down and breaks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from ims_core.wire.msrp.parser import FrameDecoder, MsrpEvent
from ims_core.wire.msrp.session import MsrpSession, Output, Outputs, SessionConfig, Transmit
from ims_core.wire.msrp.uri import parse_path

__all__ = ["ALICE", "BOB", "End", "Pair", "counter", "frames", "of_type"]

ALICE = "msrp://10.0.0.1:51001/a1Sess0001;tcp"
BOB = "msrp://10.0.0.2:2855/relayLegA77;tcp"

T = TypeVar("T")


def counter(prefix: str) -> Callable[[], str]:
    """Transaction ids ``a0001``, ``a0002`` and so on."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):04}"


def frames(octets: bytes) -> list[MsrpEvent]:
    """What a decoder makes of whole frames."""
    return FrameDecoder().feed(octets)


def of_type(outputs: list[Output], kind: type[T]) -> list[T]:
    return [each for each in outputs if isinstance(each, kind)]


class End:
    """A session, what it wants to send and what it told its owner."""

    def __init__(self, own: str, peer: str, config: SessionConfig, prefix: str) -> None:
        self.session = MsrpSession(config, parse_path(own), parse_path(peer), counter(prefix))
        self.decoder = FrameDecoder()
        self.to_send = bytearray()
        self.written = bytearray()  # everything that was ever sent
        self.events: list[Output] = []

    def take(self, outputs: Outputs) -> Outputs:
        for output in outputs:
            if isinstance(output, Transmit):
                self.to_send += output.octets
                self.written += output.octets
            else:
                self.events.append(output)
        return outputs

    def told(self, kind: type[T]) -> list[T]:
        return of_type(self.events, kind)


class Pair:
    """Alice has connected to Bob. `exchange` carries octets until nobody has any; `carry` a few of them."""

    def __init__(self, alice: SessionConfig | None = None, bob: SessionConfig | None = None) -> None:
        self.now = 0.0
        self.alice = End(ALICE, BOB, alice or SessionConfig(), "alice")
        self.bob = End(BOB, ALICE, bob or SessionConfig(), "bobby")
        self.is_broken = False

    def start(self) -> Pair:
        self.bob.take(self.bob.session.start(False, self.now))
        self.alice.take(self.alice.session.start(True, self.now))
        return self

    def ends(self) -> tuple[tuple[End, End], tuple[End, End]]:
        return (self.alice, self.bob), (self.bob, self.alice)

    def carry(self, sender: End, receiver: End, count: int) -> None:
        octets = bytes(sender.to_send[:count])
        del sender.to_send[:count]
        for event in receiver.decoder.feed(octets):
            receiver.take(receiver.session.receive(event, self.now))
        if not sender.to_send and sender.session.awaits_writable:
            sender.take(sender.session.writable(self.now))

    def exchange(self) -> Pair:
        while not self.is_broken and any(sender.to_send for sender, _ in self.ends()):
            for sender, receiver in self.ends():
                self.carry(sender, receiver, len(sender.to_send))
        return self

    def break_wire(self) -> None:
        self.is_broken = True
        for end, _ in self.ends():
            end.to_send.clear()
            end.take(end.session.lost(self.now))

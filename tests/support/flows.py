"""A flow handler that writes down what happens to it."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.errors import TransportError
from ims_core.transport.link import Flow

__all__ = ["Recorder"]


class Recorder:
    """Keeps every event in order; with *answer* it replies to what it receives."""

    def __init__(self, name: str, answer: Callable[[bytes], bytes] | None = None) -> None:
        self.name = name
        self.flows: list[Flow] = []
        self.octets: list[bytes] = []
        self.ends: list[TransportError | None] = []
        self._answer = answer

    @property
    def stream(self) -> bytes:
        return b"".join(self.octets)

    def accepted(self, flow: Flow) -> None:
        self.flows.append(flow)

    def received(self, octets: bytes, flow: Flow) -> None:
        self.octets.append(octets)
        if self._answer is not None:
            flow.send(self._answer(octets))

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        self.ends.append(error)

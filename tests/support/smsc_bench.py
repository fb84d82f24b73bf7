"""A service centre core with a store that answers at once, and everything that it sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ims_core.nodes.smsc_actions import (
    Action,
    Forget,
    Note,
    Persist,
    SendFrame,
    SendToPeer,
    SmscConfig,
)
from ims_core.nodes.smsc_core import ServiceCentre
from ims_core.store.short_messages import ShortMessage, short_message_key
from ims_core.transport.link import Address, Transport
from ims_core.wire.sms.rpdu import Direction, RpAck, RpError, parse_rpdu
from ims_core.wire.sms.sm_link import (
    Attach,
    Bind,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Result,
    SmLinkMessage,
)
from tests.support.short_messages import (
    ALICE,
    BOB,
    CAROL,
    Directory,
    imsi_of,
    rp_ack,
    rp_error,
    rp_submit,
    smsc_of,
)

__all__ = [
    "ALICE_CS",
    "APPLICATION",
    "CAROL_CS",
    "GATEWAY",
    "NOW",
    "NUMBERS",
    "PEER",
    "PEER_HOST",
    "TRUSTED",
    "Bench",
    "smsc_config",
]

NOW = 1772446684.0  # 2026-03-02T10:18:04Z
GATEWAY, APPLICATION, PEER, ALICE_CS, CAROL_CS = 1, 2, 3, 11, 13
TRUSTED, PEER_HOST = "127.0.1.30", "127.0.2.31"
NUMBERS = (ALICE, BOB, CAROL)
PHONES = {ALICE_CS: ALICE, CAROL_CS: CAROL}

M = TypeVar("M")


def smsc_config(**changes: object) -> SmscConfig:
    values: dict[str, object] = {
        "name": "red.smsc",
        "address": "+12025550199",
        "listen": Address(Transport.TCP, "127.0.1.31", 2775),
        "peers": {"blue.smsc": Address(Transport.TCP, PEER_HOST, 2775)},
        "trusted_hosts": frozenset({TRUSTED}),
    }
    return SmscConfig(**{**values, **changes})  # type: ignore[arg-type]  # a test's own keywords


class Bench:
    """A core with a store that answers at once, and what it sent."""

    def __init__(self, settings: SmscConfig | None = None, *, store_works: bool = True) -> None:
        self.core = ServiceCentre(
            settings or smsc_config(), sh=Directory(ALICE, CAROL, barred=("+12025550109",)), smsc_of=smsc_of
        )
        self.records: dict[str, ShortMessage] = {}
        self.log: list[Action] = []
        self.store_works = store_works
        self.now = NOW

    def run(self, actions: list[Action]) -> None:
        for action in actions:
            self.log.append(action)
            if isinstance(action, Persist):
                self._persist(action.record)
            elif isinstance(action, Forget):
                self.records.pop(action.key, None)

    def _persist(self, record: ShortMessage) -> None:
        if not self.store_works:
            self.run(self.core.store_failed(record.number, self.now))
            return
        self.records[short_message_key(record.number)] = record
        self.run(self.core.stored(record.number, self.now))

    def receive(self, link: int, message: SmLinkMessage) -> None:
        self.run(self.core.receive(link, message, self.now))

    def bind(self, link: int = GATEWAY, role: LinkRole = LinkRole.IP_SM_GW, name: str = "red.ipsmgw") -> None:
        self.run(self.core.link_opened(link, PEER_HOST if role is LinkRole.SMSC else TRUSTED, self.now))
        self.receive(link, Bind(0, role, name))

    def attach(self, link: int) -> None:
        self.run(self.core.link_opened(link, "127.0.1.100", self.now))
        self.receive(link, Attach(0, imsi_of(PHONES[link])))

    def submit(
        self, text: str = "hi", to: str = CAROL, *, link: int = GATEWAY, sender: str = ALICE, **fields: object
    ) -> None:
        """A phone's message, by the gateway."""
        rpdu = rp_submit(text, to, **fields)  # type: ignore[arg-type]  # a test's own keywords
        self.receive(link, Forward(reference=500, kind=ForwardKind.MO, rpdu=rpdu, originator=Party.msisdn(sender)))

    def sleep_until_deadline(self) -> float:
        """Runs the next deadline; seconds that passed since NOW."""
        deadline = self.core.next_deadline()
        assert deadline is not None
        self.now = deadline
        self.run(self.core.handle_deadline(deadline))
        return deadline - NOW

    def take(self, kind: type[M], where: Callable[[M], bool] = lambda _: True) -> list[M]:
        """Sent frames of that kind since the last look."""
        frames = [action.message for action in self.log if isinstance(action, SendFrame | SendToPeer)]
        self.log = [action for action in self.log if not isinstance(getattr(action, "message", None), kind)]
        return [frame for frame in frames if isinstance(frame, kind) and where(frame)]

    def forward(self) -> Forward:
        """The one FORWARD that was sent since the last look."""
        (forward,) = self.take(Forward)
        return forward

    def answer(self, forward: Forward, *, link: int = GATEWAY, cause: int | None = None) -> None:
        rp_reference = forward.rpdu[1]
        rpdu = rp_ack(rp_reference) if cause is None else rp_error(rp_reference, cause)
        self.receive(link, Result(forward.reference, rpdu))

    def answer_as_peer(self, forward: Forward, *, cause: int | None = None) -> None:
        rpdu = RpAck(Direction.TO_MS, forward.rpdu[1]).encode()
        if cause is not None:
            rpdu = RpError(Direction.TO_MS, forward.rpdu[1], cause).encode()
        self.run(self.core.receive_from_peer("blue.smsc", Result(forward.reference, rpdu), self.now))

    def result(self) -> RpAck | RpError:
        """The one answer to a submission since the last look."""
        (result,) = self.take(Result)
        rpdu = parse_rpdu(result.rpdu)
        assert isinstance(rpdu, RpAck | RpError)
        return rpdu

    def notes(self) -> list[str]:
        return [action.summary for action in self.log if isinstance(action, Note)]

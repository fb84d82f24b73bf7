"""Traces for the oracle, made by hand: what two phones show, and octets that cross the links between them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ims_core.trace import RecordKind, TraceRecord

__all__ = ["ALICE", "BOB", "SIP_WAY", "SealedConversation", "TraceScript", "sealed_octets"]

ALICE, BOB = "+12025550101", "+12025550152"
SIP_WAY = (
    "alice",
    "red.pcscf",
    "red.scscf",
    "red.messaging_server",
    "red.ibcf",
    "blue.ibcf",
    "blue.messaging_server",
    "blue.scscf",
    "blue.pcscf",
    "bob",
)
_NUMBERS = {"alice": ALICE, "bob": BOB}
_START = 1772446500.0
_STEP_S = 0.01
_CPIM = (
    "From: <tel:{sender}>\r\nTo: <tel:{peer}>\r\nNS: imdn <urn:ietf:params:imdn>\r\nNS: mls <{namespace}>\r\n"
    "imdn.Message-ID: {message_id}\r\nDateTime: 2026-03-02T10:15:03.104Z\r\n{more}\r\n"
    "Content-Type: {content_type}\r\n{mime}Content-Length: {length}\r\n\r\n"
)
_MLS = "http://www.gsma.com/rcs/mls"
_AUTHENTICATOR = "mls.Epoch-Authenticator: " + "A" * 43 + "=\r\n"


def sealed_octets(message_id: str, length: int = 322) -> bytes:
    """Octets in which nobody reads anything, the same for the same *message_id*."""
    return hashlib.shake_256(message_id.encode()).digest(length)


class TraceScript:
    """Records in the order in which the methods are called. Alice and Bob are registered from the beginning."""

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []
        self.at = _START
        for phone, number, pcscf in (("alice", ALICE, "red.pcscf"), ("bob", BOB, "blue.pcscf")):
            answer = f"SIP/2.0 200 OK\r\nP-Associated-URI: <sip:{number}@ims.test>, <tel:{number}>\r\n\r\n"
            self.crosses(pcscf, phone, answer.encode(), reference_point="Gm", summary="200 OK (REGISTER)")

    def add(self, kind: RecordKind, source: str, target: str = "", **members: Any) -> int:
        """Number of the new record."""
        self.at += _STEP_S
        number = len(self.records) + 1
        self.records.append(TraceRecord(number, self.at, kind, source, target or source, **members))
        return number

    def waits(self, seconds: float) -> None:
        self.at += seconds

    # --- links -------------------------------------------------------------------------------------------------------

    def crosses(self, source: str, target: str, octets: bytes, *, protocol: str = "SIP", **members: Any) -> int:
        """Any octets on one link."""
        members.setdefault("transport", "TCP")
        members.setdefault("source_address", f"{source}:1")
        members.setdefault("target_address", f"{target}:1")
        return self.add(RecordKind.MESSAGE, source, target, protocol=protocol, raw=octets, **members)

    def carries(
        self,
        message_id: str,
        body: bytes,
        way: Sequence[str] = SIP_WAY,
        *,
        content_type: str = "text/plain;charset=UTF-8",
        mime: str = "",
        more: str = "",
    ) -> list[int]:
        """A MESSAGE with a CPIM around *body*, on every link of *way*."""
        sender = _NUMBERS.get(way[0], ALICE)
        peer = BOB if sender == ALICE else ALICE
        if content_type == "message/mls":
            more += "mls.Era-ID: 1\r\n" + _AUTHENTICATOR
        head = _CPIM.format(
            sender=sender,
            peer=peer,
            namespace=_MLS,
            message_id=message_id,
            more=more,
            content_type=content_type,
            mime=mime,
            length=len(body),
        )
        cpim = head.encode() + body
        octets = self.message(sender, peer, cpim)
        return [
            self.crosses(source, target, octets, imdn_message_id=message_id, summary=f"MESSAGE tel:{peer}")
            for source, target in pairwise(way)
        ]

    def seals(self, message_id: str, way: Sequence[str] = SIP_WAY, *, more: str = "") -> list[int]:
        """A sealed content on every link of *way*."""
        return self.carries(message_id, sealed_octets(message_id), way, content_type="message/mls", more=more)

    def message(self, sender: str, peer: str, body: bytes, content_type: str = "message/cpim", more: str = "") -> bytes:
        """A SIP MESSAGE."""
        head = (
            f"MESSAGE tel:{peer} SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
            f"From: <tel:{sender}>;tag=1\r\nTo: <tel:{peer}>\r\nCall-ID: c{len(self.records)}\r\nCSeq: 1 MESSAGE\r\n"
            f"P-Asserted-Identity: <tel:{sender}>\r\nConversation-ID: conversation\r\n{more}"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    # --- screens -----------------------------------------------------------------------------------------------------

    def shows(self, phone: str, what: str, message_id: str | None = None, **details: Any) -> int:
        peer = BOB if phone == "alice" else ALICE
        kept = {name: value for name, value in details.items() if value is not None}
        return self.add(
            RecordKind.SHOWN,
            phone,
            summary=what,
            imdn_message_id=message_id,
            conversation_id="conversation",
            details={"what": what, "peer": peer, **kept},
        )

    def says(self, phone: str, message_id: str, text: str) -> int:
        """Its user sends a text."""
        return self.shows(phone, "message", message_id, direction="out", text=text)

    def got(
        self, phone: str, message_id: str | None, text: str, *, scheme: str | None = None, transport: str = "RCS"
    ) -> int:
        """A text appears."""
        return self.shows(phone, "message", message_id, direction="in", text=text, transport=transport, scheme=scheme)

    def tick(
        self, phone: str, what: str, message_id: str, *, scheme: str | None = None, transport: str = "RCS", **more: Any
    ) -> int:
        return self.shows(phone, what, message_id, transport=transport, scheme=scheme, **more)

    def label(self, phone: str, label: str, scheme: str | None = None) -> int:
        return self.shows(phone, "label", label=label, scheme=scheme)

    def state(self, phone: str, machine: str, state: str, message_id: str | None = None, **details: Any) -> int:
        return self.add(
            RecordKind.STATE,
            phone,
            summary=f"{machine}: {state}",
            imdn_message_id=message_id,
            conversation_id="conversation",
            details={"machine": machine, "state": state, **details},
        )


class SealedConversation(TraceScript):
    """Both phones show a lock, and one sealed message went from Alice to Bob."""

    def __init__(self) -> None:
        super().__init__()
        for phone in ("alice", "bob"):
            self.label(phone, "RCS · encrypted", "mls")
        self.send_sealed("one", "the first one is sealed")

    def send_sealed(self, message_id: str, text: str) -> None:
        """As it should be."""
        self.says("alice", message_id, text)
        self.seals(message_id)
        self.got("bob", message_id, text, scheme="mls")
        for what in ("sent", "delivered", "displayed"):
            self.tick("alice", what, message_id, scheme="mls")

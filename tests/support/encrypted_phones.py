"""Hands on the encryption of phones in a scenario: its state, faults of the focus, and messages that no phone of ours
would write, sent by a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ims_core.trace import RecordKind
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.mls_encryption import MlsEncryption
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.encryption import EncryptedArrival
from rcs_sim.client.identity import dialled_key
from rcs_sim.client.pager import date_time_of, message_headers
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.server.mls_fault import MlsFocusFault
from rcs_sim.server.mls_focus import MlsFocus
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE, CpimMessage, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from tests.scenarios.stage import ALICE, BOB, Stage

__all__ = [
    "LOCKED",
    "DeafToRequests",
    "count_notes",
    "engine_of",
    "focus_fault",
    "focus_of",
    "hand_in",
    "headers_of_state",
    "inject",
    "locked",
    "mls_of",
    "new_owner",
    "next_generation",
    "notes",
    "pair_locked",
    "reinstalled",
    "rekey",
    "sealed_by",
    "sealed_cpim",
    "sealed_octets",
    "thread_of",
    "tombstones",
]

LOCKED = "RCS · encrypted"


def mls_of(phone: Phone) -> MlsEncryption:
    """The encryption of a phone that has begun to enrol."""
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    return phone.encryption.mls


def thread_of(phone: Phone, peer: str) -> EncryptedThread:
    """The encrypted side of the phone's conversation with the number *peer*."""
    found = mls_of(phone)._context.thread(phone.chat(peer)._conversation)  # scenarios look where users cannot
    assert found is not None
    return found


def engine_of(phone: Phone, peer: str) -> EncryptedConversation:
    return thread_of(phone, peer).engine


def notes(stage: Stage, phone: Phone) -> list[str]:
    """What the encryption of a phone has noted, in order: state, and reason where there is one."""
    return [
        f"{one.details['state']}: {one.details.get('reason', '')}"
        for one in stage.sink.records
        if one.kind is RecordKind.STATE and one.source == phone.name and one.details.get("machine") == "encryption"
    ]


def focus_of(stage: Stage, carrier: str = "red") -> MlsFocus:
    """The arbiter of a carrier."""
    focus = stage.sim.lab.carriers[carrier].messaging_server.core.focus
    assert isinstance(focus, MlsFocus)
    return focus


def focus_fault(stage: Stage, carrier: str = "red", **changes: Any) -> None:
    """From now on the focus of *carrier* has it; none without *changes*."""
    focus_of(stage, carrier).fault = MlsFocusFault(**changes)


async def locked(stage: Stage, **more: Any) -> tuple[Phone, Phone]:
    """Two phones with an encrypted conversation; the focus is that of the first one's carrier."""
    alice, bob = await stage.alice_and_bob(**more)
    await (await alice.chat(BOB).send("we have a lock")).delivered(within_s=30)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    return alice, bob


def inject(phone: Phone, peer: str, cpim: bytes) -> None:
    """The phone sends this CPIM to *peer* by MESSAGE."""
    messenger, conversation = phone._messenger, phone.chat(peer)._conversation
    assert messenger.pager is not None
    headers = message_headers(conversation.id, messenger.tokens.uuid())
    messenger.pager.send_octets(conversation.peer, headers, cpim, CPIM_CONTENT_TYPE, lambda outcome, sent: None)


def hand_in(sender: Phone, receiver: Phone, cpim: CpimMessage) -> None:
    """What the last server on the way would bring to *receiver*: no focus has looked at it."""
    number = sender.number or ""
    uri, conversation_id = parse_uri(f"tel:{number}"), sender.chat(receiver.number or "").conversation_id
    encryption = receiver._messenger.encryption
    assert encryption is not None
    encryption.arrived(EncryptedArrival(dialled_key(number), uri, cpim, conversation_id, ""))


def rekey(phone: Phone, peer: str) -> None:
    """The phone commits fresh keys of its leaf."""
    mls_of(phone)._requests.submit(
        thread_of(phone, peer),
        lambda engine, control_id, now_s: engine.control.rekey(control_id, now_s),
        lambda _: None,
    )


def headers_of_state(phone: Phone, peer: str) -> tuple[CpimHeader, ...]:
    """Era-ID and Epoch-Authenticator of the group that the phone has with *peer*."""
    state = engine_of(phone, peer).identifier
    assert state is not None
    return MlsHeaders(era_id=state.era_id, epoch_authenticator=state.epoch_authenticator).to_headers()


def sealed_by(
    phone: Phone,
    peer: str,
    text: str,
    message_id: str,
    *,
    bound_id: str | None = None,
    bound_era: int | None = None,
    off_by: int = 0,
    payload_type: int = 1,
    content: bytes | None = None,
) -> bytes:
    """``message/mls`` by the leaf of the phone, wrong where the arguments say so: bound to another id or era, stamped
    with another generation, of another payload type. *content* is there instead of a text."""
    held = engine_of(phone, peer).group
    assert held is not None
    generation = int(held.group.next_generation) + off_by
    content = text_entity(text).encode() if content is None else content
    payload = SecretPayload(generation, content, payload_type=payload_type)
    bound = AuthenticatedData(bound_id or message_id, held.era if bound_era is None else bound_era)
    made = held.group.seal(payload.encode(), held.setting.random, authenticated_data=bound.encode())
    return made.encode()


def sealed_octets(phone: Phone, peer: str, payload: bytes, bound: bytes) -> bytes:
    """``message/mls`` by the leaf of the phone; what is sealed and what it is bound to are octets of the test's own."""
    held = engine_of(phone, peer).group
    assert held is not None
    return held.group.seal(payload, held.setting.random, authenticated_data=bound).encode()


def next_generation(phone: Phone, peer: str) -> int:
    """Of the next sealed message of the phone."""
    held = engine_of(phone, peer).group
    assert held is not None
    return int(held.group.next_generation)


def sealed_cpim(phone: Phone, message_id: str, body: bytes, headers: Iterable[CpimHeader]) -> bytes:
    """The CPIM that a phone wraps *body* in, with these MLS headers."""
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time=date_time_of(phone._messenger.alarms.now()),
        body=body,
        content_type="message/mls",
        disposition_notification=("positive-delivery", "negative-delivery", "display"),
        extra=headers,
    )


async def pair_locked(stage: Stage, ours: str = "android", theirs: str = "android") -> tuple[Phone, Phone]:
    """Alice and bob on such devices, with a lock. Alice has the lower number, and the focus."""
    alice = await stage.phone("alice", ALICE, ours)
    bob = await stage.phone("bob", BOB, theirs)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("we have a lock")).delivered(within_s=30)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    return alice, bob


async def reinstalled(phone: Phone) -> None:
    """Its state is gone, it is on again, and a moment later."""
    await phone.wipe()
    await phone.power_on()
    await asyncio.sleep(2)


async def new_owner(stage: Stage, old: Phone, number: str, carrier: str, device: str = "android") -> Phone:
    """The number of *old* goes to somebody else."""
    await old.power_off()
    service = stage.sim.lab.carriers[carrier].key_service
    assert service is not None
    await service.listener.forget(number[1:])
    await old.wipe()
    newcomer = await stage.phone("newcomer", number, device)
    await asyncio.sleep(2)
    return newcomer


def tombstones(stage: Stage, phone: Phone) -> list[str]:
    """What the phone has told about changes, in order."""
    return [one.details["text"] for one in stage.shown(phone, Shown.TOMBSTONE)]


def count_notes(stage: Stage, phone: Phone, note: str) -> int:
    """How often the encryption of the phone has noted that."""
    return sum(note in each for each in notes(stage, phone))


class DeafToRequests:
    """In place of a `Readmission`: a phone of others does not know what it is asked."""

    def asked(self, *_: object) -> bool:
        return False

"""A stranger's line and member, and the emulated phone that it talks with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from rcs_sim.client.phone import Phone
from tests.support.encrypted_phones import LOCKED, engine_of, mls_of
from tests.support.mls_ts import TsStack, ts_mls_folder, ts_stack
from tests.support.outside_line import OutsideLine, outside_line
from tests.support.outside_member import Account, OutsideMember, enrolled
from tests.support.outside_wire import Cpim, compose, fields, first, identifier
from tests.support.peers import network_file, rcs_sim_up, require, require_folder
from tests.support.raw_phone import RawSubscriber
from tests.support.real_phones import RealPhones, real_phones, received, until

__all__ = [
    "CLIENT",
    "KDS_OF",
    "PULL",
    "SERVER",
    "OutsideNetwork",
    "OutsidePair",
    "authenticator_of",
    "encrypting_network",
    "outside_network",
    "outside_pair",
    "outside_stack",
]

CLIENT, SERVER, PULL = "message/mls-rcs-client", "message/mls-rcs-server", "message/mls-rcs"
KDS_OF = {"red": 2, "blue": 1}
USERS = 30


@contextmanager
def outside_stack() -> Iterator[TsStack]:
    """Node.js with ts-mls."""
    node = require("node")
    require_folder(ts_mls_folder() / "node_modules" / "ts-mls", "npm ci; see .ci/run")
    with ts_stack(node) as running:
        yield running


@dataclass
class OutsideNetwork:
    """`rcs-sim up`, and numbers that no other test uses: those of red are the lower ones."""

    carriers: dict[str, Any]
    used: Iterator[int]
    has_log: bool

    def numbers(self) -> tuple[str, str]:
        number = next(self.used)
        return f"+121255501{number:02d}", f"+131255501{number:02d}"


def encrypting_network(folder: Path, profile: str, bulk: int = USERS) -> Path:
    """Two carriers with key distribution servers."""
    file = network_file(folder, bulk=bulk, bulk_service="rcs", blue_bulk=bulk, profile=profile)
    file.write_text(f"{file.read_text(encoding='utf-8')}e2ee: true\n", encoding="utf-8")
    return file


@contextmanager
def outside_network(folder: Path, profile: str) -> Iterator[OutsideNetwork]:
    """`rcs-sim up` of two carriers with this profile."""
    with rcs_sim_up(folder, network=encrypting_network(folder, profile), is_traced=False) as (_, document):
        yield OutsideNetwork(document["carriers"], iter(range(USERS)), profile == "rcc16-strict")


@dataclass
class OutsidePair:
    """The stranger with his line, and the emulated phone."""

    line: OutsideLine
    member: OutsideMember
    phone: Phone
    phones: RealPhones
    own: str
    theirs: str
    stack: TsStack
    vendor: int
    asked: set[str] = field(default_factory=set)

    @property
    def target(self) -> str:
        return f"tel:{self.theirs}"

    async def ask(self, control_id: str, body: bytes, kind: str = CLIENT, state: Any = None, **more: Any) -> Cpim:
        """A request, and its answer."""
        era, _, authenticator = state or self.member.state
        self.asked.add(control_id)
        cpim = compose(control_id, kind, body, era=era, authenticator=authenticator, **more)
        assert await self.line.say(self.target, cpim) in (200, 202)
        return await self.answer(control_id)

    async def answer(self, control_id: str) -> Cpim:
        return await self.line.cpim(lambda each: each.in_reply_to == control_id, 10.0)

    async def accepted(self, control_id: str, body: bytes, state: Any = None) -> None:
        """Arm 4 with the state after it, then again when everybody has it."""
        told = await self.ask(control_id, body, state=state)
        assert (told.reason, told.detail) == ("", "")
        for converged in (False, True):
            assert told.content_type == SERVER
            assert first(told.body, 4, 1) == control_id.encode()
            assert first(told.body, 4, 2, 1) == identifier(*self.member.state)
            assert dict(fields(first(told.body, 4, 2))).get(2, 0) == int(converged)
            assert told.state == (self.member.state[0], self.member.state[2])
            told = await self.answer(control_id) if not converged else told

    async def gives(self, control_id: str, body: bytes, kind: str, state: tuple[int, int, bytes]) -> None:
        """To the peer himself, where nobody answers."""
        self.asked.add(control_id)
        cpim = compose(control_id, kind, body, era=state[0], authenticator=state[2])
        assert await self.line.say(self.target, cpim) in (200, 202)

    async def locked(self) -> None:
        """The stranger makes the group."""
        kds = 3 - self.vendor
        packages = self.member.claim(self.theirs, kds)
        control_id = f"{uuid4()}".upper()
        request = self.member.create(packages, control_id)
        await self.accepted(control_id, request)

    async def says(self, text: str) -> None:
        """A text of the stranger, which the phone shows as encrypted."""
        message_id = f"{uuid4()}".upper()
        sealed = self.member.seal(text, message_id)
        era, _, authenticator = self.member.state
        wishes = "positive-delivery, negative-delivery, display"
        cpim = compose(message_id, "message/mls", sealed, era=era, authenticator=authenticator, wishes=wishes)
        assert await self.line.say(self.target, cpim) in (200, 202)
        shown = await received(self.phone, text)
        assert shown.label == LOCKED
        receipt = await self.line.cpim(
            lambda each: message_id.encode() in each.body and each.content_type == "message/imdn+xml"
        )
        assert b"<delivered" in receipt.body
        assert "http://www.gsma.com/rcs/mls MLS-Derived-Content-Signature" in receipt.headers

    async def reads(self, text: str) -> None:
        """A text of the phone, which the stranger opens."""
        sent = await self.phone.chat(self.own).send(text)
        found = await self.line.cpim(lambda each: each.content_type == "message/mls")
        assert found.state == (self.member.state[0], self.member.state[2])
        assert self.member.open(found.body, found.message_id) == text
        assert sent.label == LOCKED

    async def follows(self) -> None:
        """A commit of the phone. Its own come back too where the focus is the other carrier's, which cannot tell the
        devices of a user apart."""
        before = self.member.state
        bundle = await self.line.cpim(lambda each: is_bundle(each) and each.message_id not in self.asked)
        assert bundle.state == (before[0], before[2]), "a commit names the base state (§14.1)"
        self.member.receive(bundle.body)
        assert first(bundle.body, 2, 2) == identifier(*self.member.state)


def is_bundle(cpim: Cpim) -> bool:
    return cpim.content_type == SERVER and bool(first(cpim.body, 2))


def _is_ready(phone: Phone) -> bool:
    """Whether it has a certificate and key packages."""
    found = phone.encryption
    return found is not None and found.mls is not None and mls_of(phone)._context.credentials.is_ready


def authenticator_of(pair: OutsidePair) -> bytes:
    """What the phone holds."""
    held = engine_of(pair.phone, pair.own).identifier
    return b"" if held is None else held.epoch_authenticator


@asynccontextmanager
async def outside_pair(network: OutsideNetwork, stack: TsStack, side: str, device: str) -> AsyncIterator[OutsidePair]:
    """The stranger's line at the carrier *side* is up and its key packages are published; so is the phone, a *device*
    of the other carrier, ready to encrypt."""
    red, blue = network.numbers()
    own, theirs, other = (red, blue, "blue") if side == "red" else (blue, red, "red")
    account = Account.configured(network.carriers[side], own)
    member = enrolled(account, stack, KDS_OF[side])
    subscriber = RawSubscriber.of(network.carriers[side], f"sip:{own}@")
    pcscf = network.carriers[side]["pcscf"]["tcp"]
    async with real_phones() as phones, outside_line(pcscf, subscriber, KDS_OF[side]) as line:
        phone = await phones.add("peer", network.carriers[other], theirs, device)
        await until(phones, lambda: _is_ready(phone))
        yield OutsidePair(line, member, phone, phones, own, theirs, stack, KDS_OF[side])

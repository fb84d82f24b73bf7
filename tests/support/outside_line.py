"""The SIP and MSRP side of a stranger with encryption: it answers OPTIONS with the tags of RCC.16, takes messages and
sessions, and sends CPIM of any octets in one or the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from ims_core.wire.sip.message import Request, Response
from tests.support.lineage_script import CPM_MESSAGE, CPM_SESSION
from tests.support.lineage_session import LineageSession
from tests.support.outside_wire import Cpim
from tests.support.raw_msrp import RawFrame
from tests.support.raw_phone import RawPhone, RawSubscriber, raw_phone

__all__ = ["OutsideLine", "outside_line"]

_WITHIN_S = 15.0
_CHUNK_OCTETS = 2048
_PAGER_OCTETS = 1300
_TYPES = "text/plain message/imdn+xml message/mls message/mls-rcs message/mls-rcs-client message/mls-rcs-server"


class OutsideLine:
    """One registered device. *inbox* are the CPIM messages that came, by whichever way."""

    def __init__(self, raw: RawPhone, subscriber: RawSubscriber, kds: int, owner: asyncio.TaskGroup) -> None:
        self.raw, self.subscriber, self._owner = raw, subscriber, owner
        self.inbox: asyncio.Queue[Cpim] = asyncio.Queue()
        self._kds = kds
        self._answers: asyncio.Queue[Response] = asyncio.Queue()
        self._session: _Session | None = None
        self._sessions: list[_Session] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._aside: list[Cpim] = []

    # --- registration and what comes ---------------------------------------------------------------------------------

    @property
    def contact(self) -> str:
        services = ",".join(urn.replace(":", "%3A") for urn in (CPM_MESSAGE, CPM_SESSION))
        return (
            f'<sip:outside@{self.raw.own};transport=tcp>;+g.3gpp.icsi-ref="{services}"'
            f';+g.gsma.rcs.mls.mls-version="v1";+g.gsma.rcs.mls.mls-kds="{self._kds}"'
        )

    async def register(self) -> None:
        uri, contact = f"sip:{self.subscriber.domain}", f"Contact: {self.contact};expires=600"
        self.raw.send(self.raw.head("REGISTER", uri, self.subscriber, contact, "Supported: path"))
        challenged = await self.raw.response(401, "REGISTER")
        nonce = (challenged.text("WWW-Authenticate") or "").partition('nonce="')[2].partition('"')[0]
        authorization = self.subscriber.authorization("REGISTER", uri, nonce, 1)
        authorized = (contact, f"Authorization: {authorization}", "Supported: path")
        self.raw.send(self.raw.head("REGISTER", uri, self.subscriber, *authorized))
        await self.raw.response(200, "REGISTER")
        self._tasks.append(self._owner.create_task(self._pump()))

    async def _pump(self) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                message = await self.raw.next(3600.0)
                if isinstance(message, Response):
                    if message.status >= 200:
                        self._answers.put_nowait(message)
                else:
                    await self._take(message)

    async def _take(self, request: Request) -> None:
        match request.method:
            case "INVITE":
                self._sessions.append(session := _Session(self))
                await session.answer(request)
                self._use(session)
            case "OPTIONS":
                self._respond(request, f"Contact: {self.contact}")
            case "MESSAGE":
                self._respond(request)
                if (request.text("Content-Type") or "").startswith("message/cpim"):
                    self.inbox.put_nowait(Cpim.parse(request.body))
            case "ACK":
                pass
            case _:
                self._respond(request)

    def _respond(self, request: Request, *more: str) -> None:
        copied = [
            f"{name}: {text}" for name in ("Via", "From", "To", "Call-ID", "CSeq") for text in request.texts(name)
        ]
        copied[2] += ";tag=outside" if ";tag=" not in copied[2] else ""
        self.raw.send("\n".join(["SIP/2.0 200 OK", *copied, *more]))

    async def cpim(self, wanted: Callable[[Cpim], bool], within_s: float = _WITHIN_S) -> Cpim:
        """The next message that is wanted; others are kept for later calls."""
        found = next((each for each in self._aside if wanted(each)), None)
        if found is not None:
            self._aside.remove(found)
            return found
        async with asyncio.timeout(within_s):
            while not wanted(message := await self.inbox.get()):
                self._aside.append(message)
        return message

    def unread(self) -> list[Cpim]:
        """What has come and nobody has asked for."""
        while not self.inbox.empty():
            self._aside.append(self.inbox.get_nowait())
        return list(self._aside)

    # --- what it sends -----------------------------------------------------------------------------------------------

    async def invite(self, target: str) -> None:
        """A session with *target*, in which everything goes from now on."""
        self._sessions.append(session := _Session(self))
        session.write_invite(target)
        answered = await self.final("INVITE")
        assert answered.status == 200, answered.encode().decode()
        await session.answered(answered)
        self._use(session)

    def _use(self, session: _Session) -> None:
        self._session = session
        self._tasks.append(self._owner.create_task(session.pump()))

    @property
    def has_session(self) -> bool:
        return self._session is not None and not self._session.is_over

    async def final(self, method: str) -> Response:
        async with asyncio.timeout(_WITHIN_S):
            while (answered := await self._answers.get()).cseq.method != method:
                pass
        return answered

    async def say(self, target: str, cpim: bytes) -> int:
        """In the session, or where there is none and it is short by MESSAGE; status of the transport."""
        if self.has_session:
            assert self._session is not None
            return await self._session.say(cpim)
        if len(cpim) >= _PAGER_OCTETS:
            await self.invite(target)
            return await self.say(target, cpim)
        return await self.page(target, cpim)

    async def page(self, target: str, cpim: bytes) -> int:
        """By MESSAGE, whatever its length."""
        ids = (f"Conversation-ID: {uuid4()}", f"Contribution-ID: {uuid4()}")
        service = (
            f"P-Preferred-Service: {CPM_MESSAGE}",
            f'Accept-Contact: *;+g.3gpp.icsi-ref="{CPM_MESSAGE}"',
            "Content-Type: message/cpim",
        )
        head = self.raw.head("MESSAGE", target, self.subscriber, *ids, *service)
        lines = [*(line.strip() for line in head.split("\n")), f"Content-Length: {len(cpim)}", "", ""]
        self.raw._writer.write("\r\n".join(lines).encode() + cpim)
        return (await self.final("MESSAGE")).status

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for session in self._sessions:
            session.close()


class _Session(LineageSession):
    """A session whose connection is read all the time."""

    def __init__(self, line: OutsideLine) -> None:
        self.closes_with: list[Callable[[], None]] = []
        super().__init__(line)  # type: ignore[arg-type]  # what it needs of a script: raw, subscriber, contact
        self.script.closes_with = self.closes_with
        self._line = line
        self._waiting: dict[str, asyncio.Future[RawFrame]] = {}
        self._chunks = asyncio.Lock()
        self.is_over = False

    def description(self, setup: str = "active") -> str:
        found = super().description(setup)
        start, end = found.index("a=accept-wrapped-types:"), found.index("a=setup")
        return f"{found[:start]}a=accept-wrapped-types:{_TYPES}\n{found[end:]}"

    async def answer(self, invite: Request, *, awaits_ack: bool = True) -> None:
        await super().answer(invite, awaits_ack=False)

    async def pump(self) -> None:
        try:
            while True:
                frame = await self.msrp.frame(3600.0)
                if frame.status:
                    waiting = self._waiting.pop(frame.transaction_id, None)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(frame)
                    continue
                self.msrp.take(frame)
                while self.msrp.messages:
                    piece = self.msrp.messages.pop(0)
                    if piece.content_type.startswith("message/cpim"):
                        self._line.inbox.put_nowait(Cpim.parse(piece.body))
        except (EOFError, ConnectionError):
            self.is_over = True

    async def say(self, cpim: bytes) -> int:
        """One message in chunks; the last status."""
        message_id, total, sent = uuid4().hex, len(cpim), list[asyncio.Future[RawFrame]]()
        for at in range(0, total, _CHUNK_OCTETS):
            transaction = self.chunk(message_id, cpim[at : at + _CHUNK_OCTETS], at + 1, total)
            self._waiting[transaction] = asyncio.get_running_loop().create_future()
            sent.append(self._waiting[transaction])
        async with asyncio.timeout(_WITHIN_S):
            return max([(await each).status for each in sent])

    def close(self) -> None:
        for close in self.closes_with:
            close()


@asynccontextmanager
async def outside_line(pcscf: str, subscriber: RawSubscriber, kds: int) -> AsyncIterator[OutsideLine]:
    """Registered at *pcscf* (host:port, TCP)."""
    async with raw_phone(pcscf) as raw, asyncio.TaskGroup() as owner:
        line = OutsideLine(raw, subscriber, kds, owner)
        try:
            await line.register()
            yield line
        finally:
            line.close()

"""SMSC: the service centre on its SM links and its store (TS 23.040, digest §8.8, §15.7). The decisions are in
`smsc_core`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import count

from ims_core.cx import Sh
from ims_core.errors import TransportError
from ims_core.nodes.deadlines import Alarm
from ims_core.nodes.smsc_actions import (
    Action,
    Answered,
    ApplicationMessage,
    CloseLink,
    Forget,
    Note,
    Persist,
    SendFrame,
    SendToPeer,
    SmscConfig,
)
from ims_core.nodes.smsc_core import ServiceCentre
from ims_core.store.record_table import Store, StoreError
from ims_core.store.short_messages import SHORT_MESSAGES, ShortMessageStore
from ims_core.trace import RecordKind, Trace
from ims_core.transport.background import Background
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Network
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.wire.sms.rpdu import RpCause
from ims_core.wire.sms.sm_link import Bind, LinkRole, SmLinkMessage

__all__ = ["ApplicationMessage", "Smsc", "SmscConfig"]

_log = logging.getLogger(__name__)


class Smsc:
    """One service centre. *smsc_of* gives the element name of the service centre that serves a number ("+" and digits),
    its own for its subscribers, None for nobody's number."""

    __slots__ = (
        "_alarm",
        "_background",
        "_clock",
        "_endpoint",
        "_has_writes",
        "_is_closing",
        "_link_numbers",
        "_links",
        "_peers",
        "_table",
        "_ticket_numbers",
        "_tickets",
        "_trace",
        "_writes",
        "config",
        "core",
        "name",
    )

    def __init__(
        self,
        config: SmscConfig,
        *,
        network: Network,
        clock: Clock,
        trace: Trace,
        store: Store,
        sh: Sh,
        smsc_of: Callable[[str], str | None],
    ) -> None:
        self.config = config
        self.name = config.name
        self.core = ServiceCentre(config, sh=sh, smsc_of=smsc_of)
        self._clock = clock
        self._trace = trace
        self._table: ShortMessageStore = store.table(SHORT_MESSAGES)
        self._endpoint = SmLinkEndpoint(config.name, self, network=network, clock=clock, trace=trace)
        self._background = Background(config.name)
        self._alarm = Alarm(clock, self._deadline_came)
        self._links: dict[int, SmLink] = {}
        self._link_numbers = count(1)
        self._peers: dict[str, SmLink] = {}
        self._writes: deque[Persist | Forget] = deque()
        self._has_writes = asyncio.Event()
        self._is_closing = False
        self._tickets: dict[int, asyncio.Future[int | None]] = {}
        self._ticket_numbers = count(1)

    async def start(self) -> None:
        """Raises TransportError if it cannot listen, StoreError if it cannot read what it stored."""
        await self._background.start()
        self._background.spawn(self._write_on(), "store")
        self._perform(self.core.restore(await self._table.load_all(), self._clock.now()))
        await self._endpoint.listen(self.config.listen)

    async def stop_listening(self) -> None:
        """Nothing is heard any more."""
        await self._endpoint.close()

    async def close(self) -> None:
        """What was decided is written before it ends, in the time that `Background` gives."""
        self._alarm.close()
        await self.stop_listening()
        self._is_closing = True
        self._has_writes.set()
        await self._background.close()
        for waiter in self._tickets.values():
            waiter.cancel()

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._endpoint.address

    async def submit(self, message: ApplicationMessage) -> int | None:
        """A message that an application of the network originates: None once every part is stored, or the RP-Cause of
        the refusal."""
        ticket = next(self._ticket_numbers)
        waiter: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._tickets[ticket] = waiter
        try:
            self._perform(self.core.submit(ticket, message, self._clock.now()))
            async with asyncio.timeout(self.config.submit_answer_s):
                return await waiter
        except TimeoutError:
            return RpCause.TEMPORARY_FAILURE
        finally:
            del self._tickets[ticket]

    def submit_nowait(self, message: ApplicationMessage) -> None:
        """As `submit`, for who does not wait: a refusal is only traced."""
        self._perform(self.core.submit(next(self._ticket_numbers), message, self._clock.now()))

    # --- links -------------------------------------------------------------------------------------------------------

    def link_opened(self, link: SmLink) -> None:
        number = next(self._link_numbers)
        link.user = number
        self._links[number] = link
        self._perform(self.core.link_opened(number, link.remote.host, self._clock.now()))

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        now = self._clock.now()
        if isinstance(link.user, int):
            self._perform(self.core.receive(link.user, message, now))
        elif isinstance(link.user, str):
            self._perform(self.core.receive_from_peer(link.user, message, now))

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        now = self._clock.now()
        if isinstance(link.user, int):
            self._links.pop(link.user, None)
            self._perform(self.core.link_closed(link.user, now))
        elif isinstance(link.user, str) and self._peers.get(link.user) is link:
            del self._peers[link.user]
            self._perform(self.core.peer_lost(link.user, now))

    def _peer(self, name: str) -> SmLink:
        """The connection to another service centre, dialled if there is none."""
        link = self._peers.get(name)
        if link is None or not link.is_open:
            remote = self.config.peers[name]
            link = self._endpoint.connect(self.config.listen.host, remote, timeout_s=self.config.connect_s)
            link.user = name
            self._peers[name] = link
            link.send(Bind(0, LinkRole.SMSC, self.name))
        return link

    # --- actions -----------------------------------------------------------------------------------------------------

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            self._do(action)
        self._alarm.set(self.core.next_deadline())

    def _do(self, action: Action) -> None:
        match action:
            case SendFrame():
                link = self._links.get(action.link)
                if link is not None:
                    link.send(action.message)
            case SendToPeer():
                self._peer(action.name).send(action.message)
            case CloseLink():
                closed = self._links.pop(action.link, None)
                if closed is not None:
                    closed.close()
            case Persist() | Forget():
                self._writes.append(action)
                self.core.set_congested(len(self._writes) > self.config.max_backlog)
                self._has_writes.set()
            case Answered():
                self._answer(action)
            case Note():
                self._note(action)

    def _answer(self, answered: Answered) -> None:
        waiter = self._tickets.get(answered.ticket)
        if waiter is not None and not waiter.done():
            waiter.set_result(answered.cause)
        elif waiter is None and answered.cause is not None:
            self._note(Note("application message refused", {"cause": str(answered.cause)}))

    def _note(self, note: Note) -> None:
        self._trace.record(
            at=self._clock.now(),
            kind=RecordKind.STATE,
            source=self.name,
            protocol="SMS",
            summary=note.summary,
            details=note.details,
        )

    def _deadline_came(self) -> None:
        self._perform(self.core.handle_deadline(self._clock.now()))

    # --- store -------------------------------------------------------------------------------------------------------

    async def _write_on(self) -> None:
        """The one writer: records are put and deleted in the order in which the core decided it."""
        while self._writes or not self._is_closing:
            if not self._writes:
                self._has_writes.clear()
                await self._has_writes.wait()
                continue
            await self._write(self._writes.popleft())
            self.core.set_congested(len(self._writes) > self.config.max_backlog)

    async def _write(self, write: Persist | Forget) -> None:
        try:
            if isinstance(write, Forget):
                await self._table.delete(write.key)
                return
            await self._table.put(write.record)
        except StoreError as error:
            _log.error("%s: %s", self.name, error)
            if isinstance(write, Persist):
                self._perform(self.core.store_failed(write.record.number, self._clock.now()))
        else:
            self._perform(self.core.stored(write.record.number, self._clock.now()))

"""The shell of a key distribution server: its HTTP handlers, its store, its questions to other carriers, its trace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from ims_core.store.key_directory import (
    ANSWERED_CLAIMS,
    DIRECTORY_ANCHORS,
    DIRECTORY_CLIENTS,
    DIRECTORY_REVOCATIONS,
    KEY_PACKAGES,
    REVOKED_CERTIFICATES,
    SPENT_KEY_PACKAGES,
    AnsweredClaim,
)
from ims_core.store.prekey_directory import ANSWERED_PREKEY_CLAIMS, PREKEYS
from ims_core.store.record_table import Store, StoreError
from ims_core.trace import RecordKind, Trace
from ims_core.transport.background import Background
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HttpRequest, HttpResponse
from rcs_sim.e2ee.trust_anchors import TrustAnchor
from rcs_sim.server.kds_actions import (
    AfterKept,
    AskList,
    AskPeer,
    Change,
    Drop,
    KdsAction,
    Keep,
    Note,
    PollAnchors,
    Respond,
    refusal,
)
from rcs_sim.server.kds_claims import PeerFailure
from rcs_sim.server.kds_federation import FederationLink
from rcs_sim.server.kds_settings import KdsPeer
from rcs_sim.server.key_distribution_server import KeyDistributionServer
from rcs_sim.wire.key_directory import KdsError, KdsErrorCode

__all__ = ["KdsListener"]

_log = logging.getLogger(__name__)


class KdsListener:
    """One KDS at work. `handle` is the handler for phones, `handle_federation` that for other carriers' servers."""

    __slots__ = ("_being_kept", "_clock", "_link", "_name", "_server", "_store", "_tasks", "_timer", "_trace")

    def __init__(
        self,
        name: str,
        server: KeyDistributionServer,
        link: FederationLink,
        *,
        clock: Clock,
        store: Store,
        trace: Trace,
    ) -> None:
        self._name = name
        self._server = server
        self._link = link
        self._clock = clock
        self._store = store
        self._trace = trace
        self._tasks = Background(name)
        self._timer: asyncio.TimerHandle | None = None
        self._being_kept: dict[AnsweredClaim, asyncio.Future[bool]] = {}

    async def start(self) -> None:
        """Takes over what the store has. Raises StoreError."""
        tables = (self._store.table(each) for each in (DIRECTORY_CLIENTS, KEY_PACKAGES, SPENT_KEY_PACKAGES))
        clients, packages, spent = [await table.load_all() for table in tables]
        changes = self._server.restore(
            self._clock.now(),
            clients=clients,
            packages=packages,
            spent=spent,
            answers=await self._store.table(ANSWERED_CLAIMS).load_all(),
            anchors=await self._store.table(DIRECTORY_ANCHORS).load_all(),
            revocations=await self._store.table(DIRECTORY_REVOCATIONS).load_all(),
            revoked=await self._store.table(REVOKED_CERTIFICATES).load_all(),
            prekeys=await self._store.table(PREKEYS).load_all(),
            prekey_answers=await self._store.table(ANSWERED_PREKEY_CLAIMS).load_all(),
        )
        await self._write(changes)
        await self._tasks.start()
        self._arm()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._tasks.close()

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """A request of a phone."""
        return await self._answer(self._server.handle(request, self._clock.now()))

    async def handle_federation(self, request: HttpRequest) -> HttpResponse:
        """A request of another KDS: over TLS its certificate says whose, on a link without, its address (choice)."""
        peer = self._peer_of(request)
        return await self._answer(self._server.handle_federation(request, peer, self._clock.now()))

    async def forget(self, msisdn: str) -> None:
        """The operator's: *msisdn* (bare digits) has another owner now. Raises StoreError."""
        await self._write(self._server.forget(msisdn))

    async def set_own_roots(self, roots: Iterable[TrustAnchor]) -> None:
        """The operator's roots, in the place of those before. Raises StoreError."""
        await self._write(self._server.set_own_roots(roots, self._clock.now()))

    async def revoke(self, serials: Iterable[bytes]) -> None:
        """The operator's list of revoked certificates, in the place of the one before, also for later processes. Raises
        StoreError."""
        await self._write(self._server.revoke(serials, self._clock.now()))

    async def poll(self, peer: KdsPeer) -> None:
        """Asks *peer* for its roots and takes what it says, if that is right."""
        is_cut_off = peer.kds in self._server.fault.peers_down
        told = PeerFailure() if is_cut_off else await self._link.anchors(peer)
        if isinstance(told, PeerFailure):
            details = {"outcome": told.trouble.value, "peer": peer.host, "reason": told.reason}
            self._note(Note(f"{peer.host} does not tell its roots", details))
            return
        changes = self._server.anchors_told(peer, told, self._clock.now())
        for note in (each for each in changes if isinstance(each, Note)):
            self._note(note)
        await self._write([each for each in changes if not isinstance(each, Note)])

    async def poll_revocations(self, peer: KdsPeer) -> None:
        """Asks *peer* for what it has revoked and takes it, if one of its roots has signed it."""
        try:
            await self._ask_list(peer)
        except StoreError as error:
            _log.error("%s: %s", self._name, error)

    def _peer_of(self, request: HttpRequest) -> KdsPeer | None:
        peers = self._server.peers
        if request.scheme == "https":
            return next(filter(None, map(peers.by_host, request.client_names)), None)
        return peers.by_address(request.peer.rpartition(":")[0])

    async def _answer(self, actions: list[KdsAction]) -> HttpResponse:
        delay_s = self._server.fault.delay_s
        try:
            response = await self._carry_out(actions)
        except StoreError as error:
            _log.error("%s: %s", self._name, error)
            response = refusal(KdsError.of(KdsErrorCode.UNAVAILABLE, "the store cannot keep it"), retry_after_s=1)
        if delay_s:
            await asyncio.sleep(delay_s)
        return response

    async def _carry_out(self, actions: list[KdsAction]) -> HttpResponse:
        """What is to be kept is kept before anything is said."""
        for each in actions:
            if isinstance(each, AfterKept):
                await self._after(each.record)
        await self._keep([each for each in actions if isinstance(each, Keep | Drop)])
        response = HttpResponse(500)
        for action in actions:
            match action:
                case Note():
                    self._note(action)
                case PollAnchors(peer):
                    self._tasks.spawn(self.poll(peer), f"roots of {peer.host}")
                case AskPeer():
                    response = await self._ask(action)
                case AskList(peer):
                    response = await self._ask_list(peer)
                case Respond(answer):
                    response = answer
        return response

    async def _ask(self, ask: AskPeer) -> HttpResponse:
        is_cut_off = ask.peer.kds in self._server.fault.peers_down
        answer = PeerFailure() if is_cut_off else await self._link.claim(ask)
        return await self._carry_out(self._server.peer_answered(ask, answer, self._clock.now()))

    async def _ask_list(self, peer: KdsPeer) -> HttpResponse:
        """Of the others that want it meanwhile each gets what is held."""
        is_cut_off = peer.kds in self._server.fault.peers_down
        told = PeerFailure() if is_cut_off else await self._link.revocation_list(peer)
        return await self._carry_out(self._server.revocations_told(peer, told, self._clock.now()))

    async def _keep(self, changes: Sequence[Change]) -> None:
        """Writes. Whoever wants an answer again that is among the changes shares what becomes of it. Raises
        StoreError."""
        answers = [each.record for each in changes if isinstance(each, Keep) and isinstance(each.record, AnsweredClaim)]
        is_kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._being_kept.update((each, is_kept) for each in answers)
        try:
            await self._write(changes)
            is_kept.set_result(True)
        finally:
            for each in answers:
                del self._being_kept[each]
                if not is_kept.done():
                    self._server.not_kept(each)
            if not is_kept.done():
                is_kept.set_result(False)

    async def _after(self, answer: AnsweredClaim) -> None:
        """Returns when *answer* is kept. Raises StoreError if it cannot be."""
        is_kept = self._being_kept.get(answer)
        if is_kept is not None and not await asyncio.shield(is_kept):
            raise StoreError("what is asked for again could not be kept")

    async def _write(self, changes: Sequence[Change]) -> None:
        """Together as far as the store can, in the order in which they were decided: also those of two requests, so
        that a single change takes the same way. Raises StoreError."""
        if changes:
            _raise_first(await asyncio.gather(*map(self._write_one, changes), return_exceptions=True))

    async def _write_one(self, change: Change) -> None:
        match change:
            case Keep(kind, record):
                await self._store.table(kind).put(record)
            case Drop(kind, key):
                await self._store.table(kind).delete(key)

    def _note(self, note: Note) -> None:
        self._trace.record(
            at=self._clock.now(),
            kind=RecordKind.STATE,
            source=self._name,
            protocol="KDS",
            summary=note.summary,
            details=dict(note.details),
        )

    def _arm(self) -> None:
        delay_s = self._server.settings.anchors_poll_s
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._poll_all)

    def _poll_all(self) -> None:
        for peer in self._server.peers:
            self._tasks.spawn(self.poll(peer), f"roots of {peer.host}")
            self._tasks.spawn(self.poll_revocations(peer), f"revocations of {peer.host}")
        self._arm()


def _raise_first(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, BaseException):
            raise result

"""Claims of keys (RCC.16 §5.1, digest §14.5, §14.7): served from the own directory, or by another carrier's.

Each outcome is kept apart: a peer without keys is something else than a directory that is down, slow or lying. What is
handed out is for a `Stock` to know: key packages, or prekeys of the legacy scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from ims_core.store.key_directory import AnsweredClaim, answered_claim_key
from ims_core.store.record_table import RecordType
from ims_core.transport.http_message import HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.server.config_sessions import RateLimit
from rcs_sim.server.kds_actions import (
    AfterKept,
    AskPeer,
    Change,
    Drop,
    KdsAction,
    KdsRefused,
    Keep,
    Note,
    Respond,
    json_response,
    refusal,
)
from rcs_sim.server.kds_settings import KdsFault, KdsPeer, KdsSettings, PeerTable, Selection, Way
from rcs_sim.wire.directory_json import asked_wait_s
from rcs_sim.wire.key_directory import (
    CIPHER_SUITE,
    ClaimRequest,
    FederationClaimRequest,
    KdsError,
    KdsErrorCode,
    KeyDirectoryParseError,
)

__all__ = ["Accepted", "ClaimDesk", "PeerFailure", "PeerLied", "PeerTrouble", "Stock"]

_KEPT_REFUSALS = 10_000
_KEPT_ANSWERS = 50_000  # of some 3 kB
_CACHED = (KdsErrorCode.NO_KEY_PACKAGES, KdsErrorCode.UNKNOWN_NUMBER)
_KNOWN_CODES = {code.value: code for code in KdsErrorCode}


class PeerTrouble(StrEnum):
    """What is wrong with another KDS, as the trace says it."""

    DOWN = "peer_down"
    SLOW = "peer_slow"
    UNTRUSTED = "peer_untrusted"
    BROKEN = "peer_broken"
    LYING = "peer_lying"


_TOLD = {
    PeerTrouble.DOWN: "is not there",
    PeerTrouble.SLOW: "does not answer in time",
    PeerTrouble.UNTRUSTED: "is not trusted, or does not trust this server",
    PeerTrouble.BROKEN: "answers what cannot be read",
    PeerTrouble.LYING: "answers something else than it was asked",
}


@dataclass(frozen=True, slots=True)
class PeerFailure:
    """Another KDS gave no answer. *reason* is for the trace."""

    trouble: PeerTrouble = PeerTrouble.DOWN
    reason: str = ""


class PeerLied(Exception):
    """Another KDS answered something else than what it was asked."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """What is left of another KDS's answer after the checks; *outcome* and *reason* say for the trace why *served* is
    None."""

    served: T | None
    actions: tuple[KdsAction, ...] = ()
    outcome: str = ""
    reason: str = ""


class Stock(Protocol[T]):
    """What a desk hands out. *call* and *federation_call* are its paths, *answers* the table of what was told other
    carriers' servers."""

    @property
    def call(self) -> str: ...

    @property
    def federation_call(self) -> str: ...

    @property
    def answers(self) -> RecordType[AnsweredClaim]: ...

    def take(
        self, target: str, requester: str, exclude: str | None, fault: KdsFault, now_s: int
    ) -> tuple[T, list[Change]]:
        """The keys of *target*, spent where they are for one use. Raises KdsRefused if there is nothing to serve."""
        ...

    def body(self, served: T) -> bytes:
        """The answer for a phone."""
        ...

    def federation_body(self, request: FederationClaimRequest, served: T) -> bytes:
        """The answer for another carrier's server."""
        ...

    def accept(self, ask: AskPeer, body: bytes, now_s: int) -> Accepted[T]:
        """What another carrier's server answered. Raises KeyDirectoryParseError, PeerLied."""
        ...

    def note(self, target: str, served: T, way: str) -> Note:
        """What was served, for the trace."""
        ...


class ClaimDesk(Generic[T]):
    """Answers claims. *is_subscriber* tells whether a number (bare digits) is homed here; *fault* may be set."""

    __slots__ = (
        "_answers",
        "_federation_rate",
        "_is_subscriber",
        "_peers",
        "_rate",
        "_refusals",
        "_settings",
        "_stock",
        "_tokens",
        "fault",
    )

    def __init__(
        self,
        settings: KdsSettings,
        stock: Stock[T],
        peers: PeerTable,
        is_subscriber: Callable[[str], bool],
        tokens: Tokens,
    ) -> None:
        self._settings = settings
        self._stock = stock
        self._peers = peers
        self._is_subscriber = is_subscriber
        self._tokens = tokens
        self._rate = RateLimit(settings.claims_per_minute, 60.0)
        self._federation_rate = RateLimit(settings.federation_claims_per_minute, 60.0)
        self._answers: dict[str, AnsweredClaim] = {}
        self._refusals: dict[tuple[int, str], tuple[KdsErrorCode, float]] = {}
        self.fault = KdsFault()

    def restore(self, answers: list[AnsweredClaim], now: float) -> list[Change]:
        """Takes over the answers of an earlier process; those that have had their time go."""
        answers.sort(key=lambda answer: answer.until)
        self._answers = {answered_claim_key(each.origin, each.request_id): each for each in answers}
        return self._drop_answers(now)

    # --- claims of phones -----------------------------------------------------------------------------------------

    def claim(self, claim: ClaimRequest, source: str, now: float) -> list[KdsAction]:
        """The last action is a Respond or an AskPeer. *source* is the address that the claim came from. Raises
        KdsRefused."""
        self._check(claim, source, now)
        target = claim.target_msisdn
        is_ours = self._is_subscriber(target)
        chosen = self._peers.select(target, claim.kds, is_subscriber=is_ours)
        notes: list[KdsAction] = []
        if chosen.is_stale:
            details = {"call": self._stock.call, "target": target, "kds": claim.kds, "outcome": "stale_prefix"}
            notes.append(Note(f"the prefix table is stale for +{target}", details))
        return _after(notes, lambda: self._answer(claim, chosen, is_ours, now))

    def _answer(self, claim: ClaimRequest, chosen: Selection, is_ours: bool, now: float) -> list[KdsAction]:
        match chosen.way:
            case Way.HOME:
                return self._serve_at_home(claim, is_ours, now)
            case Way.PEER if chosen.peer is not None:
                return self._ask(claim, chosen.peer, now)
        raise KdsRefused(KdsErrorCode.UNKNOWN_NUMBER, f"no directory is known for +{claim.target_msisdn}")

    def _check(self, claim: ClaimRequest, source: str, now: float) -> None:
        requester = claim.requester_msisdn
        wait_s = self._rate.wait_s(f"{source.rpartition(':')[0]} {requester or ''}", now)  # anybody can name any number
        if wait_s > 0:
            raise KdsRefused(KdsErrorCode.RATE_LIMITED, "too many claims", retry_after_s=wait_s)
        if claim.cipher_suite != CIPHER_SUITE:
            raise KdsRefused(KdsErrorCode.BAD_REQUEST, f"cipher_suite {claim.cipher_suite} is not served")
        if requester is not None and not self._is_subscriber(requester):
            raise KdsRefused(KdsErrorCode.NOT_AUTHORIZED, "requester_msisdn is not homed here")
        if self.fault.wrong_directory:
            raise KdsRefused(KdsErrorCode.WRONG_DIRECTORY, "fault: wrong_directory")

    def _serve_at_home(self, claim: ClaimRequest, is_ours: bool, now: float) -> list[KdsAction]:
        if not is_ours:
            elsewhere = self._peers.select(claim.target_msisdn, None, is_subscriber=False).peer
            code = KdsErrorCode.UNKNOWN_NUMBER if elsewhere is None else KdsErrorCode.WRONG_DIRECTORY
            raise KdsRefused(code, f"+{claim.target_msisdn} is not homed here")
        target, requester, stock = claim.target_msisdn, claim.requester_msisdn or "", self._stock
        served, changes = stock.take(target, requester, claim.exclude_client_id, self.fault, int(now))
        return [*changes, stock.note(target, served, "home"), Respond(json_response(stock.body(served)))]

    # --- asking another directory -----------------------------------------------------------------------------------

    def _ask(self, claim: ClaimRequest, peer: KdsPeer, now: float) -> list[KdsAction]:
        kept = self._refusals.get((peer.kds, claim.target_msisdn))
        if kept is not None and now < kept[1]:
            raise KdsRefused(kept[0], f"{peer.host} said so a moment ago")
        request = FederationClaimRequest(
            request_id=self._tokens.uuid(),
            origin=self._settings.host,
            kds=self._settings.kds,
            requester_msisdn=claim.requester_msisdn or "",
            target_msisdn=claim.target_msisdn,
        )
        return [AskPeer(peer, request, claim, self._stock.federation_call)]

    def peer_answered(self, ask: AskPeer, answer: HttpResponse | PeerFailure, now: float) -> list[KdsAction]:
        """What becomes of the claim; the last action is its Respond."""
        if isinstance(answer, PeerFailure):
            return self._unavailable(ask, answer.trouble, answer.reason)
        if not 200 <= answer.status < 300:
            return self._peer_refused(ask, answer, now)
        try:
            accepted = self._stock.accept(ask, answer.body, int(now))
        except KeyDirectoryParseError as error:
            return self._unavailable(ask, PeerTrouble.BROKEN, str(error))
        except PeerLied as lie:
            return self._unavailable(ask, PeerTrouble.LYING, str(lie))
        return self._serve_foreign(ask, accepted)

    def _serve_foreign(self, ask: AskPeer, accepted: Accepted[T]) -> list[KdsAction]:
        target, peer, served = ask.request.target_msisdn, ask.peer, accepted.served
        if served is None:
            error = KdsError.of(KdsErrorCode.NO_KEY_PACKAGES, f"{peer.host} has none that can be used")
            summary = f"claim of +{target}: {accepted.outcome}: {error.detail}"
            if accepted.reason:
                summary = f"{summary}: {accepted.reason}"
            details = {"outcome": accepted.outcome, "peer": peer.host, "target": target, "reason": accepted.reason}
            return [*accepted.actions, Note(summary, details), Respond(refusal(error))]
        response = json_response(self._stock.body(served))
        return [*accepted.actions, self._stock.note(target, served, peer.host), Respond(response)]

    def _peer_refused(self, ask: AskPeer, answer: HttpResponse, now: float) -> list[KdsAction]:
        """The other's refusal is passed on, but for one that only says that it cannot answer."""
        try:
            error = KdsError.parse(answer.body)
        except KeyDirectoryParseError:
            return self._unavailable(ask, PeerTrouble.BROKEN, f"answered {answer.status}")
        code = _KNOWN_CODES.get(error.error)
        if code is None or code is KdsErrorCode.UNAVAILABLE or answer.status >= 500:
            return self._unavailable(ask, PeerTrouble.DOWN, f"answered {answer.status} {error.error}")
        if code in _CACHED:
            self._remember_refusal((ask.peer.kds, ask.request.target_msisdn), code, now)
        retry_after_s = asked_wait_s(answer.header("Retry-After")) if code is KdsErrorCode.RATE_LIMITED else None
        passed = KdsError.of(code, error.detail or f"said {ask.peer.host}")
        details = {"outcome": passed.outcome, "error": code.value, "peer": ask.peer.host}
        summary = f"claim of +{ask.request.target_msisdn}: {ask.peer.host} says {code}"
        return [
            Note(summary, details | {"target": ask.request.target_msisdn}),
            Respond(refusal(passed, retry_after_s=retry_after_s)),
        ]

    def _unavailable(self, ask: AskPeer, trouble: PeerTrouble, reason: str) -> list[KdsAction]:
        """The phone is told what is wrong with the other server; what exactly it did is for the trace."""
        host, target = ask.peer.host, ask.request.target_msisdn
        error = KdsError.of(KdsErrorCode.UNAVAILABLE, f"{host} {_TOLD[trouble]}")
        details = {"outcome": trouble.value, "peer": host, "target": target, "reason": reason}
        summary = f"claim of +{target}: {trouble}: {error.detail}"
        note = Note(f"{summary}: {reason}" if reason else summary, details)
        return [note, Respond(refusal(error, status=504 if trouble is PeerTrouble.SLOW else 502))]

    def _remember_refusal(self, key: tuple[int, str], code: KdsErrorCode, now: float) -> None:
        self._refusals.pop(key, None)
        if len(self._refusals) >= _KEPT_REFUSALS:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[key] = (code, now + self._settings.refusal_kept_s)

    # --- claims of other directories --------------------------------------------------------------------------------

    def federation_claim(self, request: FederationClaimRequest, peer: KdsPeer, now: float) -> list[KdsAction]:
        """A claim of *peer*, which the link has authenticated. Raises KdsRefused."""
        if (request.origin.lower(), request.kds) != (peer.host.lower(), peer.kds):
            raise KdsRefused(KdsErrorCode.NOT_AUTHORIZED, "origin or kds is not the peer's")
        if request.version != 1 or request.cipher_suite != CIPHER_SUITE:
            raise KdsRefused(KdsErrorCode.BAD_REQUEST, "version or cipher_suite")
        return _after(self._drop_answers(now), lambda: self._federation_answer(request, peer, now))

    def _federation_answer(self, request: FederationClaimRequest, peer: KdsPeer, now: float) -> list[KdsAction]:
        known = self._answers.get(answered_claim_key(peer.host, request.request_id))
        if known is not None:
            if known.target_msisdn != request.target_msisdn:
                raise KdsRefused(KdsErrorCode.CONFLICT, "request_id was used for another target")
            note = Note(f"claim {request.request_id} again")
            return [note, AfterKept(known), Respond(json_response(known.body))]
        wait_s = self._federation_rate.wait_s(peer.host, now)
        if wait_s > 0:
            raise KdsRefused(KdsErrorCode.RATE_LIMITED, "too many claims", retry_after_s=wait_s)
        if self.fault.wrong_directory:
            raise KdsRefused(KdsErrorCode.WRONG_DIRECTORY, "fault: wrong_directory")
        if not self._is_subscriber(request.target_msisdn):
            raise KdsRefused(KdsErrorCode.UNKNOWN_NUMBER, "not homed here")
        return self._serve_peer(request, peer, now)

    def _serve_peer(self, request: FederationClaimRequest, peer: KdsPeer, now: float) -> list[KdsAction]:
        target, stock = request.target_msisdn, self._stock
        served, changes = stock.take(target, request.requester_msisdn, None, self.fault, int(now))
        kept = AnsweredClaim(
            origin=peer.host,
            request_id=request.request_id,
            target_msisdn=target,
            body=stock.federation_body(request, served),
            until=now + self._settings.answer_kept_s,
        )
        self._answers[answered_claim_key(kept.origin, kept.request_id)] = kept
        return [
            *changes,
            Keep(stock.answers, kept),
            stock.note(target, served, f"for {peer.host}"),
            Respond(json_response(kept.body)),
        ]

    def not_kept(self, answer: AnsweredClaim) -> None:
        """The store does not have it: the same request is another claim, and gets other keys."""
        self._answers.pop(answered_claim_key(answer.origin, answer.request_id), None)

    def _drop_answers(self, now: float) -> list[Change]:
        """Answers are kept in the order of their time, which is the same for all."""
        dropped: list[Change] = []
        while self._answers:
            key, oldest = next(iter(self._answers.items()))
            if now < oldest.until and len(self._answers) <= _KEPT_ANSWERS:
                break
            del self._answers[key]
            dropped.append(Drop(self._stock.answers, key))
        return dropped


def _after(before: Sequence[KdsAction], decide: Callable[[], list[KdsAction]]) -> list[KdsAction]:
    """What is decided, with what was before it, also where it is a refusal."""
    try:
        return [*before, *decide()]
    except KdsRefused as refused:
        refused.before.extend(before)
        raise

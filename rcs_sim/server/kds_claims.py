"""Claims of key packages (RCC.16 §5.1, digest §14.5, §14.7): served from the own directory, or by another carrier's.

Each outcome is kept apart: a peer without packages is something else than a directory that is down, slow or lying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.store.key_directory import ANSWERED_CLAIMS, AnsweredClaim, answered_claim_key
from ims_core.transport.http_message import HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.key_package_profile import KeyPackageRefused, verify_claimed_package
from rcs_sim.server.config_sessions import RateLimit
from rcs_sim.server.kds_actions import (
    AskPeer,
    Change,
    Drop,
    KdsAction,
    KdsRefused,
    Keep,
    Note,
    PollAnchors,
    Respond,
    json_response,
    refusal,
)
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.server.kds_directory import KeyDirectory
from rcs_sim.server.kds_settings import KdsFault, KdsPeer, KdsSettings, PeerTable, Way
from rcs_sim.wire.key_directory import (
    CIPHER_SUITE,
    ClaimedKeyPackage,
    ClaimOutcome,
    ClaimRequest,
    ClaimResponse,
    FederationClaimRequest,
    FederationClaimResponse,
    KdsError,
    KdsErrorCode,
    KdsPath,
    KeyDirectoryParseError,
)

__all__ = ["ClaimDesk", "PeerFailure"]

_KEPT_REFUSALS = 10_000
_KEPT_ANSWERS = 50_000  # of some 3 kB
_CACHED = (KdsErrorCode.NO_KEY_PACKAGES, KdsErrorCode.UNKNOWN_NUMBER)
_KNOWN_CODES = {code.value: code for code in KdsErrorCode}


@dataclass(frozen=True, slots=True)
class PeerFailure:
    """Another KDS gave no answer: it could not be reached, or (*is_slow*) it took too long."""

    is_slow: bool = False


class ClaimDesk:
    """Answers claims. *is_subscriber* tells whether a number (bare digits) is homed here; *fault* may be set."""

    __slots__ = (
        "_anchors",
        "_answers",
        "_directory",
        "_equivocated",
        "_federation_rate",
        "_is_subscriber",
        "_peers",
        "_rate",
        "_refusals",
        "_settings",
        "_tokens",
        "fault",
    )

    def __init__(
        self,
        settings: KdsSettings,
        directory: KeyDirectory,
        anchors: AnchorBook,
        peers: PeerTable,
        is_subscriber: Callable[[str], bool],
        tokens: Tokens,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._anchors = anchors
        self._peers = peers
        self._is_subscriber = is_subscriber
        self._tokens = tokens
        self._rate = RateLimit(settings.claims_per_minute, 60.0)
        self._federation_rate = RateLimit(settings.federation_claims_per_minute, 60.0)
        self._answers: dict[str, AnsweredClaim] = {}
        self._refusals: dict[tuple[int, str], tuple[KdsErrorCode, float]] = {}
        self._equivocated: dict[str, bool] = {}
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
            details = {"call": KdsPath.CLAIM, "target": target, "kds": claim.kds, "outcome": "stale_prefix"}
            notes.append(Note(f"the prefix table is stale for +{target}", details))
        match chosen.way:
            case Way.HOME:
                return [*notes, *self._serve_at_home(claim, is_ours, now)]
            case Way.PEER if chosen.peer is not None:
                return [*notes, *self._ask(claim, chosen.peer, now)]
        raise KdsRefused(KdsErrorCode.UNKNOWN_NUMBER, f"no directory is known for +{target}")

    def _check(self, claim: ClaimRequest, source: str, now: float) -> None:
        requester = claim.requester_msisdn
        wait_s = self._rate.wait_s(requester or source.rpartition(":")[0], now)
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
        served, changes = self._take(claim.target_msisdn, claim.requester_msisdn or "", claim.exclude_client_id, now)
        response = json_response(ClaimResponse(tuple(served)).encode())
        return [*changes, _served_note(claim.target_msisdn, served, "home"), Respond(response)]

    def _take(
        self, target: str, requester: str, exclude: str | None, now: float
    ) -> tuple[list[ClaimedKeyPackage], list[Change]]:
        """Raises KdsRefused if there is nothing to serve."""
        fault = self.fault
        if fault.equivocation and self._is_deceived(requester):
            return list(fault.equivocation), []
        served: list[ClaimedKeyPackage] = []
        changes: list[Change] = []
        if not fault.empty_pool:
            served, changes = self._directory.claim(
                fault.wrong_identity or target,
                int(now),
                exclude=exclude,
                last_resort_only=fault.last_resort_only,
                ignores_floor=fault.serves_stale,
                keeps_one_time=fault.reuses_one_time,
            )
        if not served:
            withheld = self._directory.withheld(target, int(now))
            detail = f"{withheld} withheld: under 30 days (A.4.2.2)" if withheld else "nothing to serve"
            raise KdsRefused(KdsErrorCode.NO_KEY_PACKAGES, detail)
        return served, changes

    def _is_deceived(self, requester: str) -> bool:
        """Every second requester, the first one not."""
        return self._equivocated.setdefault(requester, len(self._equivocated) % 2 == 1)

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
        return [AskPeer(peer, request, claim)]

    def peer_answered(self, ask: AskPeer, answer: HttpResponse | PeerFailure, now: float) -> list[KdsAction]:
        """What becomes of the claim; the last action is its Respond."""
        if isinstance(answer, PeerFailure):
            kind, status = ("peer_slow", 504) if answer.is_slow else ("peer_down", 502)
            return self._unavailable(ask, kind, f"no answer of {ask.peer.host}", status)
        if not 200 <= answer.status < 300:
            return self._peer_refused(ask, answer, now)
        try:
            told = FederationClaimResponse.parse(answer.body)
        except KeyDirectoryParseError as error:
            return self._unavailable(ask, "peer_broken", f"{ask.peer.host}: {error}")
        asked = ask.request
        if (told.request_id, told.target_msisdn) != (asked.request_id, asked.target_msisdn):
            return self._unavailable(ask, "peer_lying", f"{ask.peer.host} answered another claim")
        return self._serve_foreign(ask, told, now)

    def _serve_foreign(self, ask: AskPeer, told: FederationClaimResponse, now: float) -> list[KdsAction]:
        target, peer = ask.request.target_msisdn, ask.peer
        trust = self._anchors.validator(peer.kds)
        good: list[ClaimedKeyPackage] = []
        actions: list[KdsAction] = []
        for package in told.key_packages:
            reason = _problem(package, target, trust, int(now))
            if reason is None:
                good.append(package)
            else:
                details = {"outcome": "peer_lying", "peer": peer.host, "target": target, "reason": reason}
                actions.append(Note(f"a package of {peer.host} for +{target} dropped: {reason}", details))
        if self._anchors.is_behind(peer, told.anchors_generation):
            actions.append(PollAnchors(peer))
        if not good:
            error = KdsError.of(KdsErrorCode.NO_KEY_PACKAGES, f"{peer.host} has none that can be used")
            details = {
                "outcome": "peer_lying" if told.key_packages else "peer_empty",
                "peer": peer.host,
                "target": target,
            }
            return [*actions, Note(f"claim of +{target}: {error.detail}", details), Respond(refusal(error))]
        response = json_response(ClaimResponse(tuple(good)).encode())
        return [*actions, _served_note(target, good, peer.host), Respond(response)]

    def _peer_refused(self, ask: AskPeer, answer: HttpResponse, now: float) -> list[KdsAction]:
        """The other's refusal is passed on, but for one that only says that it cannot answer."""
        try:
            error = KdsError.parse(answer.body)
        except KeyDirectoryParseError:
            return self._unavailable(ask, "peer_broken", f"{ask.peer.host} answered {answer.status}")
        code = _KNOWN_CODES.get(error.error)
        if code is None or code is KdsErrorCode.UNAVAILABLE or answer.status >= 500:
            return self._unavailable(ask, "peer_down", f"{ask.peer.host}: {error.error}")
        if code in _CACHED:
            self._remember_refusal((ask.peer.kds, ask.request.target_msisdn), code, now)
        wait = answer.header("Retry-After") if code is KdsErrorCode.RATE_LIMITED else None
        retry_after_s = float(wait) if wait is not None and wait.isascii() and wait.isdecimal() else None
        passed = KdsError.of(code, error.detail or f"said {ask.peer.host}")
        details = {"outcome": passed.outcome, "error": code.value, "peer": ask.peer.host}
        summary = f"claim of +{ask.request.target_msisdn}: {ask.peer.host} says {code}"
        return [
            Note(summary, details | {"target": ask.request.target_msisdn}),
            Respond(refusal(passed, retry_after_s=retry_after_s)),
        ]

    def _unavailable(self, ask: AskPeer, kind: str, detail: str, status: int = 502) -> list[KdsAction]:
        error = KdsError.of(KdsErrorCode.UNAVAILABLE, detail)
        details = {"outcome": kind, "peer": ask.peer.host, "target": ask.request.target_msisdn}
        return [
            Note(f"claim of +{ask.request.target_msisdn}: {kind}: {detail}", details),
            Respond(refusal(error, status=status)),
        ]

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
        dropped = self._drop_answers(now)
        known = self._answers.get(answered_claim_key(peer.host, request.request_id))
        if known is not None:
            if known.target_msisdn != request.target_msisdn:
                raise KdsRefused(KdsErrorCode.CONFLICT, "request_id was used for another target")
            return [*dropped, Note(f"claim {request.request_id} again"), Respond(json_response(known.body))]
        wait_s = self._federation_rate.wait_s(peer.host, now)
        if wait_s > 0:
            raise KdsRefused(KdsErrorCode.RATE_LIMITED, "too many claims", retry_after_s=wait_s)
        if self.fault.wrong_directory:
            raise KdsRefused(KdsErrorCode.WRONG_DIRECTORY, "fault: wrong_directory")
        if not self._is_subscriber(request.target_msisdn):
            raise KdsRefused(KdsErrorCode.UNKNOWN_NUMBER, "not homed here")
        return [*dropped, *self._serve_peer(request, peer, now)]

    def _serve_peer(self, request: FederationClaimRequest, peer: KdsPeer, now: float) -> list[KdsAction]:
        target = request.target_msisdn
        served, changes = self._take(target, request.requester_msisdn, None, now)
        answer = FederationClaimResponse(
            request_id=request.request_id,
            target_msisdn=target,
            key_packages=tuple(served),
            anchors_generation=self._anchors.generation,
        )
        kept = AnsweredClaim(
            origin=peer.host,
            request_id=request.request_id,
            target_msisdn=target,
            body=answer.encode(),
            until=now + self._settings.answer_kept_s,
        )
        self._answers[answered_claim_key(kept.origin, kept.request_id)] = kept
        return [
            *changes,
            Keep(ANSWERED_CLAIMS, kept),
            _served_note(target, served, f"for {peer.host}"),
            Respond(json_response(kept.body)),
        ]

    def _drop_answers(self, now: float) -> list[Change]:
        """Answers are kept in the order of their time, which is the same for all."""
        dropped: list[Change] = []
        while self._answers:
            key, oldest = next(iter(self._answers.items()))
            if now < oldest.until and len(self._answers) <= _KEPT_ANSWERS:
                break
            del self._answers[key]
            dropped.append(Drop(ANSWERED_CLAIMS, key))
        return dropped


def _problem(package: ClaimedKeyPackage, target: str, trust: CertificateValidator, now_s: int) -> str | None:
    """Why a package of another directory is dropped (§14.7)."""
    try:
        verify_claimed_package(
            package.key_package, msisdn=target, trust=trust, now_s=now_s, requires_certificate_floor=True
        )
    except KeyPackageRefused as refused:
        return str(refused)
    return None


def _served_note(target: str, served: list[ClaimedKeyPackage], way: str) -> Note:
    details = {
        "call": KdsPath.CLAIM,
        "outcome": int(ClaimOutcome.SERVED),
        "target": target,
        "way": way,
        "clients": [each.client_id for each in served],
        "last_resort": [each.client_id for each in served if each.is_last_resort],
    }
    return Note(f"claim of +{target}: {len(served)} served, {way}", details)

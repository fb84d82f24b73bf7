"""Key distribution server, KDS (RCC.16 §5.1): certifies devices, keeps their key packages, hands each out once.

`KeyDistributionServer` decides; `rcs_sim.server.kds_listener` is its shell. The calls are those of RCC.16 digest §14.5,
with the federation of §14.7 (choice): a phone talks to its home KDS, which asks the other carrier's where needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ims_core.store.key_directory import (
    AnsweredClaim,
    DirectoryClient,
    HeldRevocations,
    RevokedCertificate,
    SignedAnchors,
    SpentKeyPackage,
    StoredKeyPackage,
)
from ims_core.store.prekey_directory import StoredPrekeys
from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import CertificateRule
from rcs_sim.e2ee.key_package_profile import (
    KeyPackageRefused,
    VerifiedKeyPackage,
    verify_claimed_package,
    verify_uploaded_package,
)
from rcs_sim.e2ee.trust_anchors import TrustAnchor
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.mls.credential import credential_pieces, shared_certificate
from rcs_sim.server.config_sessions import RateLimit
from rcs_sim.server.kds_actions import (
    AskList,
    AskPeer,
    Change,
    KdsAction,
    KdsRefused,
    Note,
    Respond,
    json_response,
    refusal,
)
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.server.kds_claims import ClaimDesk, PeerFailure
from rcs_sim.server.kds_directory import KeyDirectory, UploadedPackage
from rcs_sim.server.kds_enrolment import CheckedEnrolment, EnrolmentRules, check_enrolment
from rcs_sim.server.kds_key_packages import KeyPackageStock
from rcs_sim.server.kds_legacy import PrekeyStock
from rcs_sim.server.kds_revocations import ASKED_S
from rcs_sim.server.kds_settings import KdsFault, KdsPeer, KdsSettings, PeerTable
from rcs_sim.wire.key_directory import (
    ClaimRequest,
    DirectoryResponse,
    EnrolmentRequest,
    EnrolmentResponse,
    FederationAnchors,
    FederationClaimRequest,
    KdsError,
    KdsErrorCode,
    KdsPath,
    KeyDirectoryParseError,
    UploadRequest,
    UploadResponse,
)
from rcs_sim.wire.prekey_directory import PrekeyPath, PrekeyUpload

__all__ = ["KeyDistributionServer"]

_POSTS = frozenset((KdsPath.CERTIFICATE, KdsPath.KEY_PACKAGES, KdsPath.CLAIM, PrekeyPath.PREKEYS, PrekeyPath.CLAIM))
_LOST = frozenset((CertificateRule.REVOKED, CertificateRule.TRUST_ANCHOR, CertificateRule.SIGNATURE))
_CRL_TYPE = "application/pkix-crl"
_GETS = frozenset({KdsPath.CIPHER_SUITES, KdsPath.DIRECTORY, KdsPath.CRL, KdsPath.ICA})


class KeyDistributionServer:
    """The decisions of one KDS. `handle` and `handle_federation` answer any request; `restore` comes first.

    *is_subscriber* tells whether a number (bare digits) is homed here; *proof_spki* is the key of the carrier's
    configuration server (DER). Times are seconds since the epoch. Read-only: *directory*, *prekeys*, *anchors*,
    *peers*, *settings*."""

    __slots__ = (
        "_changes_rate",
        "_desk",
        "_is_subscriber",
        "_pki",
        "_prekey_desk",
        "_rules",
        "anchors",
        "directory",
        "peers",
        "prekeys",
        "settings",
    )

    def __init__(
        self,
        settings: KdsSettings,
        *,
        pki: VendorPki,
        proof_spki: bytes,
        anchors: AnchorBook,
        peers: PeerTable,
        is_subscriber: Callable[[str], bool],
        tokens: Tokens,
    ) -> None:
        self.settings = settings
        self._pki = pki
        self._rules = EnrolmentRules(
            vendor_id=settings.vendor_id, proof_spki=proof_spki, accepts_empty_proof=settings.accepts_empty_proof
        )
        self.peers = peers
        self._is_subscriber = is_subscriber
        self._changes_rate = RateLimit(settings.changes_per_minute, 60.0)
        self.anchors = anchors
        self.directory = KeyDirectory()
        self.prekeys = PrekeyStock()
        packages = KeyPackageStock(self.directory, anchors)
        self._desk = ClaimDesk(settings, packages, peers, is_subscriber, tokens)
        self._prekey_desk = ClaimDesk(settings, self.prekeys, peers, is_subscriber, tokens.child("legacy"))

    @property
    def fault(self) -> KdsFault:
        """What is wrong with the server; scenarios set it."""
        return self._desk.fault

    @fault.setter
    def fault(self, fault: KdsFault) -> None:
        self._desk.fault = self._prekey_desk.fault = fault

    @property
    def pki(self) -> VendorPki:
        """The authorities that certificates are issued by; a scenario may give it others."""
        return self._pki

    @pki.setter
    def pki(self, pki: VendorPki) -> None:
        self._pki = pki

    def restore(
        self,
        now: float,
        *,
        clients: Iterable[DirectoryClient] = (),
        packages: Iterable[StoredKeyPackage] = (),
        spent: Iterable[SpentKeyPackage] = (),
        answers: Iterable[AnsweredClaim] = (),
        anchors: Iterable[SignedAnchors] = (),
        revocations: Iterable[HeldRevocations] = (),
        revoked: Iterable[RevokedCertificate] = (),
        prekeys: Iterable[StoredPrekeys] = (),
        prekey_answers: Iterable[AnsweredClaim] = (),
    ) -> list[Change]:
        """Takes over what an earlier process kept; returns what of it changes now."""
        self.prekeys.restore(prekeys)
        return [
            *self.directory.restore(clients, packages, spent, int(now)),
            *self._desk.restore(list(answers), now),
            *self._prekey_desk.restore(list(prekey_answers), now),
            *self.anchors.start(anchors, int(now), revocations, revoked),
            *(self._withdraw(int(now)) if self.anchors.revoked_serials else ()),
        ]

    def forget(self, msisdn: str) -> list[Change]:
        """The operator's: *msisdn* (bare digits) has another owner; no key of the former one is handed out."""
        return [*self.directory.forget(msisdn), *self.prekeys.forget(msisdn)]

    def revoke(self, serials: Iterable[bytes], now: float) -> list[Change]:
        """The operator's list of revoked certificates, contents of their serial numbers, in the place of the one
        before. It holds for every certificate of a chain; stored packages under one of them are withdrawn."""
        return [*self.anchors.revoke(serials), *self._withdraw(int(now))]

    def set_own_roots(self, roots: Iterable[TrustAnchor], now: float) -> list[Change]:
        """The operator's roots, in the place of those before; stored packages under one that is none any more are
        withdrawn. Certificates are issued by `pki`, which is for the operator to change too."""
        return [*self.anchors.set_own(roots, int(now)), *self._withdraw(int(now))]

    def _withdraw(self, now_s: int) -> list[Change]:
        validator = self.anchors.validator(self.settings.kds)

        def is_bad(package: StoredKeyPackage) -> bool:
            try:
                verify_claimed_package(package.message, msisdn=package.msisdn, trust=validator, now_s=now_s)
            except KeyPackageRefused as refused:
                return refused.rule in _LOST
            return False

        return self.directory.withdraw(is_bad)

    # --- requests ---------------------------------------------------------------------------------------------------

    def handle(self, request: HttpRequest, now: float) -> list[KdsAction]:
        """The actions for a request of a phone, in order; the last is a Respond or an AskPeer."""
        return self._guarded(request, lambda: self._route(request, now))

    def handle_federation(self, request: HttpRequest, peer: KdsPeer | None, now: float) -> list[KdsAction]:
        """The actions for a request of another KDS, which the link has authenticated as *peer*, None for nobody that is
        known; the last is a Respond."""
        return self._guarded(request, lambda: self._route_federation(request, peer, now))

    def peer_answered(self, ask: AskPeer, answer: HttpResponse | PeerFailure, now: float) -> list[KdsAction]:
        """What becomes of a claim that another KDS was asked for; the last action is a Respond."""
        if ask.path == PrekeyPath.FEDERATION_CLAIM:
            return self._prekey_desk.peer_answered(ask, answer, now)
        return self._desk.peer_answered(ask, answer, now)

    def not_kept(self, answer: AnsweredClaim) -> None:
        """The store could not keep what was to be answered to another KDS."""
        self._desk.not_kept(answer)
        self._prekey_desk.not_kept(answer)

    def anchors_told(self, peer: KdsPeer, body: bytes, now: float) -> list[Change | Note]:
        """What *peer* says of its roots."""
        try:
            told = FederationAnchors.parse(body)
        except KeyDirectoryParseError as error:
            details = {"outcome": "anchors_refused", "peer": peer.host, "reason": str(error)}
            return [Note(f"roots of {peer.host} refused", details)]
        return self.anchors.learn(peer, told, int(now))

    def _guarded(self, request: HttpRequest, decide: Callable[[], list[KdsAction]]) -> list[KdsAction]:
        try:
            self._check_fault()
            return decide()
        except KeyDirectoryParseError as malformed:
            return self._refuse(request, KdsRefused(KdsErrorCode.BAD_REQUEST, malformed.member or str(malformed)))
        except KdsRefused as refused:
            return self._refuse(request, refused)

    def _refuse(self, request: HttpRequest, refused: KdsRefused) -> list[KdsAction]:
        error = refused.error
        details = {"call": request.path, "error": error.error, "detail": error.detail, "outcome": error.outcome}
        return [
            *refused.before,
            Note(f"{error.error}: {error.detail}", details),
            Respond(refusal(error, retry_after_s=refused.retry_after_s)),
        ]

    def _check_fault(self) -> None:
        if self.fault.is_down:
            raise KdsRefused(KdsErrorCode.UNAVAILABLE, "fault: is_down")
        if self.fault.retry_after_s is not None:
            raise KdsRefused(KdsErrorCode.RATE_LIMITED, "fault", retry_after_s=self.fault.retry_after_s)

    def _route(self, request: HttpRequest, now: float) -> list[KdsAction]:
        path = request.path.rstrip("/")
        match (request.method, path):
            case ("POST", KdsPath.CERTIFICATE):
                return self._enrol(EnrolmentRequest.parse(request.body), request.peer, now)
            case ("POST", KdsPath.KEY_PACKAGES):
                return self._upload(UploadRequest.parse(request.body), request.peer, now)
            case ("POST", KdsPath.CLAIM):
                return self._desk.claim(ClaimRequest.parse(request.body), request.peer, now)
            case ("POST", PrekeyPath.PREKEYS):
                return self._publish_prekeys(PrekeyUpload.parse(request.body), request.peer, now)
            case ("POST", PrekeyPath.CLAIM):
                return self._prekey_desk.claim(ClaimRequest.parse(request.body), request.peer, now)
            case ("GET", KdsPath.CIPHER_SUITES):
                return [Respond(json_response(DirectoryResponse().encode()))]
            case ("GET", KdsPath.DIRECTORY):
                about = DirectoryResponse(kds=self.settings.kds, vendor_id=self.settings.vendor_id)
                return [Respond(json_response(about.encode()))]
            case ("GET", KdsPath.CRL):
                return [self._own_revocations(now)]
            case ("GET", _) if path.startswith(f"{KdsPath.CRL}/"):
                return self._revocations_of(path.rpartition("/")[2], now)
            case ("GET", KdsPath.ICA):
                return [Respond(_octets(self._pki.ica_der, "application/pkix-cert"))]
            case ("GET", _) if path.startswith(f"{KdsPath.TRUST_ANCHORS}/"):
                return [Respond(self._trust_list(path.rpartition("/")[2]))]
        if path in _POSTS or path in _GETS:
            allowed = ("Allow", "POST" if path in _POSTS else "GET")
            return [Respond(HttpResponse(405, (allowed,)))]
        return [Respond(HttpResponse(404))]

    def _route_federation(self, request: HttpRequest, peer: KdsPeer | None, now: float) -> list[KdsAction]:
        if peer is None:
            raise KdsRefused(KdsErrorCode.NOT_AUTHORIZED, "not a peer of this federation")
        match (request.method, request.path.rstrip("/")):
            case ("POST", KdsPath.FEDERATION_CLAIM):
                return self._desk.federation_claim(FederationClaimRequest.parse(request.body), peer, now)
            case ("POST", PrekeyPath.FEDERATION_CLAIM):
                return self._prekey_desk.federation_claim(FederationClaimRequest.parse(request.body), peer, now)
            case ("GET", KdsPath.FEDERATION_ANCHORS):
                return [Respond(json_response(self.anchors.own().encode()))]
            case ("GET", KdsPath.FEDERATION_CRL):
                return [self._own_revocations(now)]
        return [Respond(HttpResponse(404))]

    def _own_revocations(self, now: float) -> Respond:
        listed = self.fault.revocation_list
        if listed is None:
            listed = self._pki.crl_der(int(now), self.anchors.revoked_serials)
        return Respond(_octets(listed, _CRL_TYPE))

    def _revocations_of(self, number: str, now: float) -> list[KdsAction]:
        """Those of another key service, which is asked when what is held is no news any more."""
        kds = int(number) if number.isascii() and number.isdecimal() and len(number) <= 9 else -1
        if kds == self.settings.kds:
            return [self._own_revocations(now)]
        peer = self.peers.by_kds(kds)
        if peer is None:
            return [Respond(HttpResponse(404))]
        if self.anchors.asks_for_revocations(kds, int(now)):
            return [AskList(peer)]
        return [self._held_revocations(peer)]

    def _held_revocations(self, peer: KdsPeer) -> Respond:
        held = self.anchors.revocations_of(peer.kds)
        if held is not None:
            return Respond(_octets(held, _CRL_TYPE))
        error = KdsError.of(KdsErrorCode.UNAVAILABLE, f"no list of {peer.host}")
        return Respond(refusal(error, retry_after_s=ASKED_S))

    def revocations_told(self, peer: KdsPeer, told: bytes | PeerFailure, now: float) -> list[KdsAction]:
        """What *peer* says that it has revoked. Where it says nothing, or nothing to be believed, the answer is what
        was held before; the last action is a Respond."""
        if isinstance(told, PeerFailure):
            details = {"outcome": told.trouble.value, "peer": peer.host, "reason": told.reason}
            changes: list[Change | Note] = [Note(f"{peer.host} does not tell what it has revoked", details)]
        else:
            changes = self.anchors.learn_revocations(peer, told, int(now))
        return [*changes, self._held_revocations(peer)]

    def _trust_list(self, generation: str) -> HttpResponse:
        is_number = generation.isascii() and generation.isdecimal() and len(generation) <= 15
        asked = int(generation) if is_number else -1
        signed = self.anchors.signed(asked if self.fault.stale_anchors is None else self.fault.stale_anchors)
        if signed is None:
            raise KdsRefused(KdsErrorCode.UNKNOWN_GENERATION, generation[:20])
        return json_response(signed)

    # --- enrolment and upload ---------------------------------------------------------------------------------------

    def _enrol(self, request: EnrolmentRequest, source: str, now: float) -> list[KdsAction]:
        self._check_rate(request.msisdn, source, now)
        checked = check_enrolment(request, self._rules, int(now))
        self._check_home(request.msisdn)
        self._check_owner(request.msisdn, checked)
        leaf = shared_certificate(self._pki.issue_leaf(checked.content, int(now)))
        not_after_s = read_certificate(leaf).not_after_s
        client = DirectoryClient(
            msisdn=request.msisdn,
            client_id=checked.client_id,
            leaf_key=checked.leaf_key,
            leaf=leaf,
            not_after_s=not_after_s,
            has_proof=checked.has_proof,
        )
        changes = self.directory.enrol(client, int(now))
        chain = (*self._pki.ica_chain, self._pki.root_der)
        answer = EnrolmentResponse(leaf=leaf, chain=chain, kds=self.settings.kds, not_after_s=not_after_s)
        return [*changes, _enrolled_note(client), Respond(json_response(answer.encode()))]

    def _check_rate(self, msisdn: str, source: str, now: float) -> None:
        """Anybody can name any number, so what counts is what one address asks for it."""
        wait_s = self._changes_rate.wait_s(f"{source.rpartition(':')[0]} {msisdn}", now)
        if wait_s > 0:
            raise KdsRefused(KdsErrorCode.RATE_LIMITED, "too many changes", retry_after_s=wait_s)

    def _check_home(self, msisdn: str) -> None:
        if self._is_subscriber(msisdn):
            return
        chosen = self.peers.select(msisdn, None, is_subscriber=False)
        if chosen.peer is not None:
            raise KdsRefused(KdsErrorCode.WRONG_DIRECTORY, f"+{msisdn} is homed at {chosen.peer.host}")
        raise KdsRefused(KdsErrorCode.UNKNOWN_NUMBER, f"+{msisdn} is not homed here")

    def _check_owner(self, msisdn: str, checked: CheckedEnrolment) -> None:
        """A client keeps its number and key: a renewal changes serial and validity only (§1.2; that we refuse others is
        a choice)."""
        owner = self.directory.owner(checked.client_id)
        known = self.directory.client(msisdn, checked.client_id)
        if owner not in (None, msisdn):
            raise KdsRefused(KdsErrorCode.CONFLICT, "client_id belongs to another number")
        if known is not None and known.leaf_key not in (b"", checked.leaf_key):
            raise KdsRefused(KdsErrorCode.CONFLICT, "client_id has another key")

    def _upload(self, request: UploadRequest, source: str, now: float) -> list[KdsAction]:
        self._check_rate(request.msisdn, source, now)
        self._check_home(request.msisdn)
        if not request.key_packages and not request.last_resort:
            raise KdsRefused(KdsErrorCode.BAD_REQUEST, "no package")
        one_time = [self._checked(request, each, False, int(now), n) for n, each in enumerate(request.key_packages)]
        last = self._checked(request, request.last_resort, True, int(now), -1) if request.last_resort else None
        packages = [*one_time, *([] if last is None else [last])]
        client = self._uploader(request, packages)
        if self.directory.is_replay(each.reference for each in packages):
            raise KdsRefused(KdsErrorCode.CONFLICT, "every package was handed out before")
        stored, changes = self.directory.replace_packages(
            client, [_uploaded(each) for each in one_time], None if last is None else _uploaded(last), int(now)
        )
        details = {
            "call": KdsPath.KEY_PACKAGES,
            "msisdn": request.msisdn,
            "client_id": client.client_id,
            "stored": stored,
            "refused_as_spent": len(one_time) + (last is not None) - stored,
        }
        note = Note(f"+{request.msisdn} has {stored} packages for {client.client_id}", details)
        return [*changes, note, Respond(json_response(UploadResponse(stored).encode()))]

    def _publish_prekeys(self, upload: PrekeyUpload, source: str, now: float) -> list[KdsAction]:
        """Nothing says that they are of who has the number: the legacy scheme has no proof of that (choice)."""
        self._check_rate(upload.msisdn, source, now)
        self._check_home(upload.msisdn)
        stored, changes = self.prekeys.replace(upload)
        details = {"call": PrekeyPath.PREKEYS, "msisdn": upload.msisdn, "stored": stored}
        note = Note(f"+{upload.msisdn} has {stored} one-time prekeys", details)
        return [*changes, note, Respond(json_response(UploadResponse(stored).encode()))]

    def _checked(
        self, request: UploadRequest, octets: bytes, is_last_resort: bool, now_s: int, number: int
    ) -> VerifiedKeyPackage:
        try:
            return verify_uploaded_package(
                octets,
                msisdn=request.msisdn,
                trust=self.anchors.validator(self.settings.kds),
                modes=self.settings.modes,
                is_last_resort=is_last_resort,
                now_s=now_s,
                client_id=request.client_id,
            )
        except KeyPackageRefused as refused:
            place = "last_resort" if is_last_resort else f"key_packages[{number}]"
            raise KdsRefused(KdsErrorCode.BAD_KEY_PACKAGE, f"{place}: {refused}") from refused

    def _uploader(self, request: UploadRequest, packages: list[VerifiedKeyPackage]) -> DirectoryClient:
        """The client whose packages these are, all of them; one whose enrolment is not known here is taken over from
        its certificate (choice)."""
        leaf, client_id = packages[0].certificate, packages[0].client_id
        if any((each.client_id, each.certificate.spki) != (client_id, leaf.spki) for each in packages):
            raise KdsRefused(KdsErrorCode.BAD_KEY_PACKAGE, "packages of several clients or keys")
        if len({each.key_package.init_key for each in packages}) < len(packages):
            raise KdsRefused(KdsErrorCode.BAD_KEY_PACKAGE, "a package is there twice")
        if self.directory.owner(client_id) not in (None, request.msisdn):
            raise KdsRefused(KdsErrorCode.CONFLICT, "client_id belongs to another number")
        known = self.directory.client(request.msisdn, client_id)
        if known is None:
            return DirectoryClient(
                msisdn=request.msisdn, client_id=client_id, leaf_key=leaf.spki, not_after_s=leaf.not_after_s
            )
        if known.leaf_key not in (b"", leaf.spki):
            raise KdsRefused(KdsErrorCode.CONFLICT, "client_id has another key")
        return replace(known, not_after_s=max(known.not_after_s, leaf.not_after_s))


def _uploaded(package: VerifiedKeyPackage) -> UploadedPackage:
    return UploadedPackage(
        octets=package.message,
        reference=package.reference,
        not_after_s=package.chain.ends_s,
        credential=credential_pieces(package.key_package.leaf_node.credential),
    )


def _enrolled_note(client: DirectoryClient) -> Note:
    details = {
        "call": KdsPath.CERTIFICATE,
        "msisdn": client.msisdn,
        "client_id": client.client_id,
        "not_after": client.not_after_s,
        "has_acs_proof": client.has_proof,
    }
    mark = "" if client.has_proof else " WITHOUT a proof of the configuration server"
    return Note(f"+{client.msisdn} enrolled {client.client_id}{mark}", details)


def _octets(octets: bytes, content_type: str) -> HttpResponse:
    return HttpResponse(200, (("Content-Type", content_type),), octets)

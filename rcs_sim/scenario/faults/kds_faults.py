"""``kds.``: a key distribution server that is away, slow, out of packages, or lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rcs_sim.e2ee.acs_proof import PROOF_LIFE_S
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.member.enrolment import Enrolment
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import CARRIER
from rcs_sim.scenario.faults.places import carriers_of, home_of, one_phone
from rcs_sim.scenario.key_service import KeyService
from rcs_sim.server.kds_enrolment import EnrolmentRules, check_enrolment
from rcs_sim.wire.key_directory import ClaimedKeyPackage

__all__ = ["KDS_FAULTS", "key_services_of"]

_AT = replace(CARRIER, meaning="the server of this carrier; else of all")
_REVERSAL = "the server answers as usual from the next call on"


def key_services_of(fault: ActiveFault) -> list[KeyService]:
    """Those of the carriers that the scope names. Raises FaultError in a network without encryption."""
    found = [carrier.key_service for carrier in carriers_of(fault)]
    services = [service for service in found if service is not None]
    if not services:
        raise FaultError(f"{fault.word}: {fault.sim.network.name} has no key distribution servers (e2ee: true)")
    return services


def _switch(
    word: str,
    field: str,
    meaning: str,
    clause: str,
    *,
    keys: tuple[ScopeKey, ...] = (),
    example: dict[str, Any] | None = None,
    value: Callable[[ActiveFault, KeyService], Any] = lambda fault, service: True,
) -> FaultKind:
    """A word that is one field of `KdsFault`."""

    async def begin(fault: ActiveFault) -> None:
        for service in key_services_of(fault):
            held = value(fault, service)
            fault.undo.callback(fault.sim.faults.switches.hold(service.server, field, held))
            fault.acted(f"{field}: {_shown(held)}", service.plan.name)

    return FaultKind(
        word=word,
        meaning=meaning,
        clause=clause,
        reversal=_REVERSAL,
        begin=begin,
        keys=(_AT, *keys),
        example={"carrier": "blue", **(example or {})},
        reach=Reach.BOTH,
    )


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes"
        case frozenset():
            return ", ".join(map(str, sorted(value)))
        case tuple():
            return f"{len(value)} packages"
        case bytes():
            return f"{len(value)} octets"
    return str(value)


def _peers_down(fault: ActiveFault, service: KeyService) -> frozenset[int]:
    wanted = fault.scope.get("peer")
    others = {carrier.name: carrier.key_service for carrier in fault.sim.lab.carriers.values()}
    numbers = (other.plan.kds for name, other in others.items() if other is not None and wanted in (None, name))
    return frozenset(number for number in numbers if number != service.plan.kds)


def _digits(fault: ActiveFault, service: KeyService) -> str:
    return fault.sim.numbers[fault.scope["as"]].removeprefix("+")


def _equivocation(fault: ActiveFault, service: KeyService) -> tuple[ClaimedKeyPackage, ...]:
    """A device that nobody of the name owns, certified by the carrier itself: the lie of who runs the directory."""
    phone = one_phone(fault)
    if home_of(fault.sim, phone.name).key_service is not service:
        raise FaultError(f"{fault.word}: {phone.name} has its keys at {home_of(fault.sim, phone.name).name}")
    profile = phone.config.policy.e2ee
    if profile is None:
        raise FaultError(f"{fault.word}: {phone.name} cannot encrypt")
    now_s, digits = int(fault.sim.clock.now()), fault.sim.numbers[phone.name].removeprefix("+")
    pki, random = service.server.pki, fault.tokens.octets
    enrolment = Enrolment.start(digits, fault.tokens.uuid(), pki.vendor_id, random, now_s)
    proof = service.proof(digits, enrolment.participant.spki, now_s + PROOF_LIFE_S)
    rules = EnrolmentRules(vendor_id=pki.vendor_id, proof_spki=b"", accepts_empty_proof=True)
    content = check_enrolment(enrolment.certificate_request(b""), rules, now_s).content
    leaf = pki.issue_leaf(replace(content, acs_proof=proof.encode()), now_s)
    trust = X509Identity(CertificateValidator(TrustAnchors((pki.anchor,)), Strictness.TOLERANT))
    identity = enrolment.accept(leaf, pki.ica_chain, trust, now_s)
    upload = KeyPackagePool().mint(MemberSetting.of(identity, profile, trust, random), now_s)
    return (ClaimedKeyPackage(client_id=identity.client_id, key_package=upload.last_resort, is_last_resort=True),)


async def _begin_revoked(fault: ActiveFault) -> None:
    """The operators of all carriers list it, as they do when they have learned of it."""
    phone = one_phone(fault)
    mls = None if phone.encryption is None else phone.encryption.mls
    setting = None if mls is None else mls.credentials.setting
    if setting is None:
        raise FaultError(f"{fault.word}: {phone.name} has no certificate")
    serial = read_certificate(setting.identity.chain[fault.scope["what"] == "authority"]).serial
    found = (carrier.key_service for carrier in fault.sim.lab.carriers.values())
    for service in (each for each in found if each is not None):
        before = service.server.anchors.revoked_serials
        await service.listener.revoke((*before, serial))
        fault.undo.push_async_callback(service.listener.revoke, before)
        fault.acted(f"certificate {serial.hex()} listed", service.plan.name)


def _forged_list(fault: ActiveFault, service: KeyService) -> bytes:
    """Says that nothing is revoked, later than the genuine one, with a signature that is none."""
    octets = service.plan.pki.crl_der(int(fault.sim.clock.now()) + 60)
    return octets[:-1] + bytes((octets[-1] ^ 1,))


KDS_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="kds.revoked",
        meaning="the certificate of a phone, or of its authority, is on the list of revoked certificates",
        clause="RCC.16 digest §2.6, §3.5",
        reversal="it is taken off the list",
        begin=_begin_revoked,
        keys=(
            ScopeKey(name="of", kind=KeyKind.PHONE, meaning="that of this phone", is_required=True),
            ScopeKey(
                name="what",
                kind=KeyKind.WORD,
                meaning="its own, or that of who issued it",
                default="phone",
                words=("phone", "authority"),
            ),
        ),
        example={"of": "bob", "what": "phone"},
        reach=Reach.BOTH,
    ),
    _switch(
        "kds.forged_revocations",
        "revocation_list",
        "the list of revoked certificates is empty, and not signed by its authority",
        "RCC.16 digest §2.6, RFC 5280 §5",
        value=_forged_list,
    ),
    _switch("kds.down", "is_down", "the key distribution server answers 503 to everything", "RCC.16 §5.2"),
    _switch(
        "kds.slow",
        "delay_s",
        "the key distribution server answers late",
        "RCC.16 §5.2",
        keys=(ScopeKey(name="delay_s", kind=KeyKind.SECONDS, meaning="so late", default=8.0),),
        example={"delay_s": 8},
        value=lambda fault, service: fault.scope.seconds("delay_s"),
    ),
    _switch(
        "kds.peer_down",
        "peers_down",
        "the key distribution servers of other carriers cannot be reached from this one",
        "RCC.16 §5.3 (federation)",
        keys=(ScopeKey(name="peer", kind=KeyKind.CARRIER, meaning="that of this carrier; else of all others"),),
        example={"peer": "red"},
        value=_peers_down,
    ),
    _switch("kds.empty_pool", "empty_pool", "claims find no key packages", "RCC.16 §5.1"),
    _switch(
        "kds.last_resort",
        "last_resort_only",
        "claims are served the last-resort package, as if all others were used up",
        "RCC.16 §5.1, RFC 9420 §16.8",
    ),
    _switch(
        "kds.reused_package",
        "reuses_one_time",
        "a one-time key package that was served is served again, to the next who asks",
        "RFC 9420 §16.8, RCC.16 §5.1",
    ),
    _switch(
        "kds.wrong_directory",
        "wrong_directory",
        "claims are answered with 421, as if the number were homed elsewhere",
        "RCC.16 §5.3, digest §14.5",
    ),
    _switch(
        "kds.stale_anchors",
        "stale_anchors",
        "the list of trust anchors stays the one of now, whichever generation is asked for",
        "RCC.16 §4.1, digest §14.8",
        value=lambda fault, service: service.server.anchors.generation,
    ),
    _switch(
        "kds.wrong_identity",
        "wrong_identity",
        "claims of any number are served the packages of another one",
        "RCC.16 §5.3, A.4.1",
        keys=(ScopeKey(name="as", kind=KeyKind.PHONE, meaning="of this phone, of the same carrier", is_required=True),),
        example={"as": "mallory"},
        value=_digits,
    ),
    _switch(
        "kds.equivocate",
        "equivocation",
        "every second requester gets a key package of a device that the owner of the number does not have",
        "RCC.16 §5.5 (identity verification)",
        keys=(ScopeKey(name="of", kind=KeyKind.PHONE, meaning="for the number of this phone", is_required=True),),
        example={"of": "bob"},
        value=_equivocation,
    ),
)

"""Devices with the whole member engine, and a little focus that forwards what they ask for (RCC.16 §6.1.2).

The focus takes the first request whose base is its state, answers, and fans out. It judges nothing else: the server's
own tests do that. Networks lose and reorder by what the test does with the queues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from rcs_sim.e2ee.certificate_issuer import LeafRequest
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.enhanced_group_info import ControlMessage, MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.key_package_profile import read_key_package
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.member.control_outcome import ControlOutcome
from rcs_sim.e2ee.member.device_identity import DeviceIdentity
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.encrypted_group import Sealed
from rcs_sim.e2ee.member.enrolment import Enrolment
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.message_exchange import OpenResult
from rcs_sim.e2ee.member.operations import PendingOperation
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.profile import (
    E2eeProfile,
    apple_like_profile,
    google_like_profile,
    lineage_like_profile,
    strict_v3_profile,
    strict_v4_profile,
)
from rcs_sim.e2ee.server_message import (
    AcceptedMessage,
    CommitBundle,
    RawMlsMessage,
    ServerMlsRcsMessage,
    decode_server_message,
    encode_server_message,
)
from rcs_sim.e2ee.treeless_welcome import split_welcome
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.mls.key_package import KeyPackage

__all__ = [
    "ALICE",
    "BOB",
    "NOW_S",
    "PROFILES",
    "MemberDevice",
    "MemberFocus",
    "Talk",
    "certify",
    "enrol",
    "established",
    "exchanged",
    "make_member",
    "over_the_wire",
    "seeded_random",
    "trust_of",
    "vendor_pki",
]

NOW_S = 1_790_000_000
ALICE, BOB = "12025550101", "12025550102"
PROFILES: dict[str, Callable[[], E2eeProfile]] = {
    "android": google_like_profile,
    "ios": apple_like_profile,
    "strict-v3": strict_v3_profile,
    "strict-v4": strict_v4_profile,
    "lineage-like": lineage_like_profile,
}
_ACS_PROOF = b"\x00\x00\x00\x00\x7f\xff\xff\xff\x02\x30\x00"  # never looked into by members


def seeded_random(seed: str) -> Callable[[int], bytes]:
    """An endless stream of octets that is the same every time."""
    counter = 0

    def draw(count: int) -> bytes:
        nonlocal counter
        drawn = b""
        while len(drawn) < count:
            drawn += hashlib.sha256(f"{seed}|{counter}".encode()).digest()
            counter += 1
        return drawn[:count]

    return draw


@lru_cache
def vendor_pki(vendor_id: int) -> VendorPki:
    """The authorities of a vendor in these tests."""
    seed = b"member tests %d" % vendor_id
    return VendorPki.derive(
        seed, vendor_id=vendor_id, kds=vendor_id, operator=f"Vendor {vendor_id}", now_s=NOW_S - 86400
    )


def trust_of(profile: E2eeProfile) -> X509Identity:
    """Both vendors' roots, judged as the profile does."""
    anchors = TrustAnchors(tuple(vendor_pki(each).anchor for each in (1, 2)))
    strictness = Strictness.STRICT if profile.strict_certificates else Strictness.TOLERANT
    return X509Identity(CertificateValidator(anchors, strictness))


@dataclass
class MemberDevice:
    """A device: identity, pool, and one conversation."""

    setting: MemberSetting
    pool: KeyPackagePool
    conversation: EncryptedConversation
    packages: list[bytes] = field(default_factory=list)
    sent: int = 0

    @property
    def number(self) -> str:
        return self.setting.identity.msisdn

    @property
    def identity(self) -> DeviceIdentity:
        return self.setting.identity

    def claim(self) -> KeyPackage:
        """One of its KeyPackages, as the directory gives it out; the last one again and again."""
        octets = self.packages.pop(0) if len(self.packages) > 1 else self.packages[0]
        return read_key_package(octets)

    def mint(self, now_s: int = NOW_S) -> None:
        """A fresh pool at the directory."""
        upload = self.pool.mint(self.setting, now_s)
        self.packages = [*upload.one_time, upload.last_resort]

    def next_id(self) -> str:
        """A fresh message id."""
        self.sent += 1
        return f"{self.number}-{self.identity.client_id[:4]}-{self.sent}"

    def seal(self, text: str, now_s: int = NOW_S) -> Sealed:
        return self.conversation.seal(text_entity(text), self.next_id(), now_s)

    def open(self, sealed: Sealed, sender: str, now_s: int = NOW_S) -> OpenResult:
        envelope = Envelope(
            message_id=sealed.message_id,
            asserted_sender=sender,
            era=sealed.state.era_id,
            epoch_authenticator=sealed.state.epoch_authenticator,
        )
        return self.conversation.open(sealed.octets, envelope, now_s)


def enrol(msisdn: str, client: int, profile: E2eeProfile, now_s: int = NOW_S, seed: str = "") -> DeviceIdentity:
    """A device's identity, certified by its vendor's authority."""
    random = seeded_random(f"{seed}{msisdn}/{client}")
    client_id = f"{client:08x}-0000-4000-8000-{int(msisdn) % 10**12:012d}"
    enrolment = Enrolment.start(msisdn, client_id, profile.vendor_id, random, now_s)
    return certify(enrolment, profile, now_s)


def certify(enrolment: Enrolment, profile: E2eeProfile, now_s: int) -> DeviceIdentity:
    """What the directory's answer makes of an enrolment."""
    pki = vendor_pki(profile.vendor_id)
    request = enrolment.certificate_request(_ACS_PROOF)
    asked = LeafRequest(
        subject=request.subject_der,
        san=request.san_der,
        point=request.identity_pub,
        participant_information=request.participant_information,
        acs_proof=request.acs_proof,
    )
    leaf = pki.issue_leaf(asked, now_s)
    return enrolment.accept(leaf, (*pki.ica_chain, pki.root_der), trust_of(profile), now_s)


def make_member(
    msisdn: str,
    profile: E2eeProfile | None = None,
    client: int = 1,
    participants: Iterable[str] = (ALICE, BOB),
    seed: str = "",
) -> MemberDevice:
    """A device that is enrolled and has its KeyPackages at the directory."""
    profile = profile or google_like_profile()
    identity = enrol(msisdn, client, profile, seed=seed)
    setting = MemberSetting.of(identity, profile, trust_of(profile), seeded_random(f"{seed}member {msisdn}/{client}"))
    pool = KeyPackagePool()
    device = MemberDevice(setting, pool, EncryptedConversation(setting, pool, participants))
    device.mint()
    return device


class MemberFocus:
    """The state that a focus keeps, and its log."""

    def __init__(self) -> None:
        self.state: EpochIdentifier | None = None
        self.group_id = b""
        self.info: MlsGroupInfo | None = None
        self.log: list[tuple[EpochIdentifier | None, str, bytes]] = []
        self.control_ids = 0

    def submit(self, operation: PendingOperation) -> AcceptedMessage | FocusRefusal:
        """Decides as check 7 does: the base has to be the state."""
        request = ClientMlsRcsMessage.decode(operation.request.encode())
        state = self.state
        if request.operation == ClientOperation.CREATE and request.base is None and state is not None:
            return self._refuse("incorrect-era", "held")
        if request.base != state:
            same_era = state is not None and request.base is not None and request.base.era_id == state.era_id
            return self._refuse("incorrect-epoch" if same_era else "incorrect-era")
        if request.operation == ClientOperation.PROPOSE:
            self.log.append((state, operation.control_id, encode_server_message(RawMlsMessage(request.proposal))))
            return AcceptedMessage(operation.control_id, state, False)
        assert request.result is not None
        self.log.append((state, operation.control_id, encode_server_message(self._bundle(request))))
        self.state, self.group_id, self.info = request.result, request.mls_group_id, request.group_info
        return AcceptedMessage(operation.control_id, request.result, False)

    def _refuse(self, reason: str, detail: str = "") -> FocusRefusal:
        return FocusRefusal(reason=reason, detail=detail, group_id=self.group_id or None, server=self.state)

    @staticmethod
    def _bundle(request: ClientMlsRcsMessage) -> CommitBundle:
        assert request.result is not None
        assert request.group_info is not None
        is_create = request.operation == ClientOperation.CREATE
        has_tree = not request.welcome or bool(split_welcome(request.welcome).ratchet_tree)
        return CommitBundle(
            welcome=request.welcome,
            ratchet_tree=b"" if has_tree else request.group_info.ratchet_tree,
            commit=b"" if is_create else request.commit,
            key_delivery=request.key_delivery,
            state=request.result,
            epoch_authenticator=request.result.epoch_authenticator,
        )

    def enhanced(self, own: EpochIdentifier | None, page: int = 32) -> MlsEnhancedGroupInfo:
        """The enhanced pull."""
        bases = [base for base, _, _ in self.log]
        known = own is not None and (own == self.state or own in bases)
        start = bases.index(own) if own in bases else len(self.log)
        entries = self.log[start : start + page] if known else []
        after = bases[start + page] if start + page < len(self.log) else self.state
        return MlsEnhancedGroupInfo(
            self.state,
            self.info,
            tuple(ControlMessage(control_id, octets) for _, control_id, octets in entries),
            after if known else None,
        )


@dataclass
class Talk:
    """Devices of one conversation and their focus. `request` runs one request to its end, fan-out included."""

    devices: list[MemberDevice]
    focus: MemberFocus = field(default_factory=MemberFocus)
    now_s: int = NOW_S

    def control_id(self) -> str:
        self.focus.control_ids += 1
        return f"control-{self.focus.control_ids}"

    def others(self, device: MemberDevice) -> list[MemberDevice]:
        return [each for each in self.devices if each is not device]

    def answer(self, device: MemberDevice, operation: PendingOperation) -> AcceptedMessage | FocusRefusal:
        """What the focus says, told to the device. A refusal is given back."""
        answer = self.focus.submit(operation)
        if isinstance(answer, FocusRefusal):
            device.conversation.control.refused(operation.control_id, answer, self.now_s)
            return answer
        envelope = Envelope(message_id="answer", asserted_sender=device.number, era=0)
        device.conversation.receive(over_the_wire(answer), envelope, self.now_s)
        converged = AcceptedMessage(answer.message_id, answer.state, True)
        device.conversation.receive(over_the_wire(converged), envelope, self.now_s)
        return answer

    def fan_out(self, sender: MemberDevice, to: Iterable[MemberDevice] | None = None) -> list[ControlOutcome]:
        """The newest entry of the log, to the other devices."""
        receivers = self.others(sender) if to is None else to
        return [self.deliver(each, sender.number, len(self.focus.log) - 1) for each in receivers]

    def deliver(self, device: MemberDevice, sender: str, entry: int) -> ControlOutcome:
        """One entry of the log to one device."""
        base, control_id, octets = self.focus.log[entry]
        other = sender if sender != device.number else next(n for n in device.conversation.participants if n != sender)
        envelope = Envelope(
            message_id=control_id,
            asserted_sender=other,
            era=0 if base is None else base.era_id,
            epoch_authenticator=b"" if base is None else base.epoch_authenticator,
            named_sender=sender,
        )
        return device.conversation.receive(decode_server_message(octets), envelope, self.now_s)

    def request(self, device: MemberDevice, operation: PendingOperation) -> list[ControlOutcome]:
        """Accepted, converged, fanned out."""
        answer = self.answer(device, operation)
        assert isinstance(answer, AcceptedMessage), answer
        return self.fan_out(device)

    def create(
        self, creator: MemberDevice, group_id: bytes = b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
    ) -> PendingOperation:
        """The first group, with everybody's KeyPackages."""
        packages = [each.claim() for each in self.others(creator)]
        return creator.conversation.control.create(packages, group_id, self.control_id(), self.now_s)


def over_the_wire(arm: ServerMlsRcsMessage) -> ServerMlsRcsMessage:
    """As it is after it was encoded."""
    return decode_server_message(encode_server_message(arm))


def established(*devices: MemberDevice) -> Talk:
    """A conversation whose group the first device has created and all others have joined."""
    talk = Talk(list(devices))
    talk.request(devices[0], talk.create(devices[0]))
    return talk


def exchanged(talk: Talk, text: str = "hello") -> bool:
    """Whether every device can send, and all others read it."""
    for sender in talk.devices:
        sealed = sender.seal(text, talk.now_s)
        for receiver in talk.others(sender):
            if receiver.number == sender.number:
                continue
            opened = receiver.open(sealed, sender.number, talk.now_s)
            if not isinstance(opened, Opened) or opened.entity.text != text or opened.sender != sender.number:
                return False
    return True

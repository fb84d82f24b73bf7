"""How a group begins for a device that is not welcomed: created, or as a new era, or joined from outside (RCC.16 §6.2,
§8.3, §9.2, §11.2)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ims_core.errors import ProtocolError
from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.client_message import (
    AdvanceKind,
    ClientMlsRcsMessage,
    ClientOperation,
    MlsGroupInfo,
    WelcomeAction,
)
from rcs_sim.e2ee.continuity import (
    continuity_commitment,
    continuity_commitment_extension,
    continuity_token_extension,
    mint_continuity_token,
)
from rcs_sim.e2ee.credential_identity import msisdn_of, participant_spki_of
from rcs_sim.e2ee.custom_proposals import self_remove_proposal, server_remove_proposal
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import (
    DowngradeReason,
    RcsExtensionType,
    end_mls_extension,
    era_extension,
    era_of,
    has_end_mls,
    without_extensions,
)
from rcs_sim.e2ee.key_package_profile import group_lifetime
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.moment import FIRST_ERA, LAST_ERA
from rcs_sim.e2ee.member.operations import (
    KIND_OF_ADVANCE,
    E2eeRefused,
    OperationKind,
    PendingOperation,
    SealRefusal,
    group_info_of,
    welcome_as_sent,
)
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.external import find_own_leaf, join_externally
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add, Proposal, Remove
from rcs_sim.mls.public_group import PublicGroup

__all__ = [
    "CarriedState",
    "Era",
    "StartedGroup",
    "commit_externally",
    "published_extensions",
    "read_group_info",
    "start_group",
    "verified_group",
    "verify_carried",
    "welcome_extensions",
]

_CONTEXT_ID_OCTETS = 18  # of randomness; 24 characters in base64url
_SPEC = "RCC.16 §8.3"


@dataclass(frozen=True, slots=True)
class CarriedState:
    """The GroupInfo of the server that a new era builds on, verified: its extensions come along octet for octet."""

    info: GroupInfo
    tree: RatchetTreeExtension
    epoch_authenticator: bytes = b""

    @property
    def extensions(self) -> Extensions:
        return self.info.group_context.extensions


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """Which era is begun. *base* is the server's state, None for a conversation's first group; *carried* the
    extensions of its GroupContext; *token* the continuity token that lives on."""

    group_id: bytes
    era: int = FIRST_ERA
    kind: AdvanceKind = AdvanceKind.NORMAL
    base: EpochIdentifier | None = None
    carried: Extensions = ()
    token: bytes | None = None
    reason: DowngradeReason = DowngradeReason.UNSET
    welcome_extensions: Extensions = ()

    @classmethod
    def after(
        cls, group_id: bytes, local: int, server: EpochIdentifier | None, kind: AdvanceKind, carried: Extensions
    ) -> Era:
        """The era after those that anybody holds. Raises E2eeRefused if there is none."""
        base = max(local, 0 if server is None else server.era_id)
        if base >= LAST_ERA:
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "there is no era after the last", spec="RCC.16 §7.11.1")
        return cls(group_id=group_id, era=base + 1, kind=kind, base=server, carried=carried)


@dataclass(frozen=True, slots=True)
class StartedGroup:
    """A group that the focus has not taken yet, and the request for it."""

    group: EncryptedGroup
    operation: PendingOperation


def read_group_info(info: MlsGroupInfo) -> CarriedState:
    """GroupInfo and tree of the server, syntax only. Raises TlsDecodeError."""
    octets = info.group_info
    if octets[:4] == b"\x00\x01\x00\x04":
        body = MLSMessage.decode(octets).body
        assert isinstance(body, GroupInfo)  # wire format 4
        return CarriedState(body, RatchetTreeExtension.decode(info.ratchet_tree), info.epoch_authenticator)
    tree = RatchetTreeExtension.decode(info.ratchet_tree)
    return CarriedState(GroupInfo.decode(octets), tree, info.epoch_authenticator)


def verify_carried(setting: MemberSetting, info: MlsGroupInfo) -> CarriedState:
    """GroupInfo and tree of the server, signed and whole, whatever the age of the certificates in it. Raises
    MlsValidationError or TlsDecodeError."""
    found = read_group_info(info)
    verified_group(setting, found)
    return found


def verified_group(setting: MemberSetting, found: CarriedState) -> PublicGroup:
    """The group of a GroupInfo, from outside: signed by one of its leaves and whole; no certificate in it is judged.
    Raises MlsValidationError or TlsDecodeError."""
    return PublicGroup.start(found.info, ratchet_tree=found.tree, seams=setting.lenient_seams)


def start_group(
    setting: MemberSetting, packages: Sequence[KeyPackage], era: Era, control_id: str, now_s: int
) -> StartedGroup:
    """A group of one, and one Commit without a path that adds everybody. Without *packages* it stays at epoch 0, which
    only a group that is born ended may. Raises E2eeRefused."""
    if not packages and era.kind is not AdvanceKind.PHOENIX_DOWNGRADE:
        raise E2eeRefused(SealRefusal.NOT_ALLOWED, "a group of nobody else", spec=_SPEC)
    token = era.token or mint_continuity_token(setting.random)
    try:
        alone = _create_alone(setting, era, now_s)
        if not packages:
            return _started(setting, alone, era, token, None, control_id, now_s)
        pending = alone.commit(_adding(setting, packages, era, token, control_id), setting.random, now_s)
    except ProtocolError as error:
        raise E2eeRefused(SealRefusal.FAILED, str(error), spec=_SPEC) from error
    assert pending.staged.after is not None  # nobody commits their own removal
    together = Group(pending.staged.after, setting.identity.leaf_key, setting.policy)
    return _started(setting, together, era, token, pending, control_id, now_s)


def _create_alone(setting: MemberSetting, era: Era, now_s: int) -> Group:
    return Group.create(
        setting.client,
        era.group_id,
        setting.random,
        group_lifetime(setting.identity.certificate, now_s),
        extensions=_context_extensions(setting, era),
        policy=setting.policy,
    )


def _context_extensions(setting: MemberSetting, era: Era) -> Extensions:
    """Everything that the server's GroupContext has, in its order, but for the era, and for end_mls by the kind."""
    ending = RcsExtensionType.END_MLS
    dropped = {RcsExtensionType.ERA} if era.kind is AdvanceKind.NORMAL else {RcsExtensionType.ERA, ending}
    carried = without_extensions(era.carried, dropped)
    if era.kind is AdvanceKind.PHOENIX_DOWNGRADE:
        carried = (*carried, end_mls_extension(setting.profile.end_mls_form, era.reason))
    return (era_extension(era.era), *carried)


def _adding(
    setting: MemberSetting, packages: Iterable[KeyPackage], era: Era, token: bytes, control_id: str
) -> CommitRequest:
    return CommitRequest(
        proposals=tuple(Add(package) for package in packages),
        with_path=False,
        authenticated_data=AuthenticatedData(control_id, era.era).encode(),
        tree_in_welcome=False,
        welcome_extensions=welcome_extensions(setting, token, era.welcome_extensions),
    )


def welcome_extensions(setting: MemberSetting, token: bytes | None, keys: Extensions) -> Extensions:
    """What only joiners see: the continuity token, if the profile sends it, and the keys of subject and icon."""
    if token is None or not setting.profile.sends_continuity_token:
        return keys
    return (continuity_token_extension(token), *keys)


def published_extensions(group: EncryptedGroup, state: EpochIdentifier) -> Extensions:
    """What a GroupInfo for the focus has beside external_pub: the commitment to the continuity token of *state*, where
    the profile publishes it. It arms every peer's check, so that is off by default."""
    profile, token = group.setting.profile, group.continuity_token
    if token is None or not profile.publishes_continuity_commitment:
        return ()
    prefixed = profile.continuity_label_prefixed
    commitment = continuity_commitment(token, state.epoch_authenticator, is_label_prefixed=prefixed)
    return (continuity_commitment_extension(commitment),)


def _started(
    setting: MemberSetting,
    group: Group,
    era: Era,
    token: bytes,
    pending: PendingCommit | None,
    control_id: str,
    now_s: int,
) -> StartedGroup:
    made = EncryptedGroup(setting, group, continuity_token=token, welcome_extensions=era.welcome_extensions)
    is_first = era.base is None
    info = group_info_of(group, published_extensions(made, made.identifier))
    welcome = None if pending is None else pending.welcome
    appends = setting.profile.appends_leaves_to_welcome
    request = ClientMlsRcsMessage(
        operation=ClientOperation.CREATE,
        mls_group_id=era.group_id,
        context_id=_context_id(setting),
        base=era.base,
        result=made.identifier,
        commit=b"" if pending is None else pending.message.encode(),
        welcome=welcome_as_sent(welcome, info.ratchet_tree, appends_tree=appends),
        group_info=info,
        welcome_action=WelcomeAction.NEW_GROUP if is_first else WelcomeAction.NEW_ERA_EXISTING_GROUP,
        advance_kind=AdvanceKind.NORMAL if is_first else era.kind,
    )
    kind = OperationKind.CREATE if is_first else KIND_OF_ADVANCE[era.kind]
    operation = PendingOperation(
        kind=kind, control_id=control_id, request=request, before=era.base, result=made.identifier, started_s=now_s
    )
    return StartedGroup(made, operation)


def _context_id(setting: MemberSetting) -> str:
    """Fresh for every create: a server may take one with a known context id and change nothing (observed)."""
    return urlsafe_b64encode(setting.random(_CONTEXT_ID_OCTETS)).decode("ascii")


def commit_externally(
    setting: MemberSetting, info: MlsGroupInfo, control_id: str, now_s: int, *, resyncs_participant: bool = False
) -> StartedGroup:
    """An external Commit into the group of *info*; it takes our older leaf away if there is one. *resyncs_participant*:
    leaves of our number under another participant key go too (RCC.16 §10.1.1); another device of ours that was
    provisioned by itself has another key as well, so that is for the user to say. Raises E2eeRefused: NOT_ALLOWED into
    a group that has ended, which it would encrypt again."""
    try:
        state = read_group_info(info)
        if has_end_mls(state.extensions):
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "this group has ended MLS", spec="RCC.16 §11.2")
        return _joined_externally(setting, state, info, control_id, now_s, resyncs_participant)
    except (TlsDecodeError, MlsValidationError) as error:
        raise E2eeRefused(SealRefusal.FAILED, str(error), spec="RCC.16 §11.2") from error


def _joined_externally(
    setting: MemberSetting, state: CarriedState, info: MlsGroupInfo, control_id: str, now_s: int, resyncs: bool
) -> StartedGroup:
    era = era_of(state.extensions)
    if not era:
        raise E2eeRefused(SealRefusal.NOT_ALLOWED, "a group without an era", spec="RCC.16 §7.11.1")
    seams = setting.policy.seams
    outside = PublicGroup.start(state.info, ratchet_tree=state.tree, seams=seams, now_s=now_s)
    joined = join_externally(
        setting.client,
        state.info,
        setting.random,
        ratchet_tree=state.tree,
        proposals=_removals(setting, outside, resyncs),
        authenticated_data=AuthenticatedData(control_id, era).encode(),
        policy=setting.policy,
        now_s=now_s,
    )
    made = EncryptedGroup(setting, joined.group)
    base = EpochIdentifier(era, int(outside.epoch), info.epoch_authenticator)
    request = ClientMlsRcsMessage(
        operation=ClientOperation.EXTERNAL_COMMIT,
        mls_group_id=outside.group_id,
        base=base,
        result=made.identifier,
        commit=joined.message.encode(),
        group_info=group_info_of(joined.group),
    )
    operation = PendingOperation(
        kind=OperationKind.EXTERNAL_COMMIT,
        control_id=control_id,
        request=request,
        before=base,
        result=made.identifier,
        started_s=now_s,
    )
    return StartedGroup(made, operation)


def _removals(setting: MemberSetting, outside: PublicGroup, resyncs: bool) -> tuple[Proposal, ...]:
    """Our older leaf goes by a SelfRemove; by a Remove, if others of our number go beside it by a ServerRemove each."""
    own = find_own_leaf(outside.tree, setting.client, setting.policy.seams.identity)
    if own is None:
        return ()
    number, key = setting.identity.msisdn, participant_spki_of(setting.identity.credential)
    members = [(index, leaf) for index, leaf in outside.tree.members() if index != own and msisdn_of(leaf) == number]
    stale = [index for index, leaf in members if participant_spki_of(leaf) != key]
    if not (resyncs and stale):
        return (self_remove_proposal(),)
    return (Remove(own), *map(server_remove_proposal, stale))

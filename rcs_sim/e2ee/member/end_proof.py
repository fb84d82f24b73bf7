"""Whether a group has ended, as a focus says: it is believed when a participant has signed it (RCC.16 §9.1, digest
RCC.16 §7.3).

A focus that could end encryption with a word of its own would read what is written next. So the GroupInfo that it shows
has to be signed by a leaf of a participant, to be of this group, and of a moment after ours: an end that was taken back
since proves nothing (choice).
"""

from __future__ import annotations

from collections.abc import Collection

from rcs_sim.e2ee.certificate_profile import CertificateRefused, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.credential_identity import X509Identity, msisdn_of
from rcs_sim.e2ee.extension_bodies import era_of, has_end_mls
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.group_start import read_group_info, verified_group
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.roster import roster_of
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.public_group import PublicGroup

__all__ = ["doubt_about_end"]


def doubt_about_end(
    setting: MemberSetting,
    info: MlsGroupInfo | None,
    participants: Collection[str],
    held: EncryptedGroup | None,
    now_s: int,
) -> str:
    """Why *info* does not prove that the group of *participants* has ended; "" if it does. *held* is the group that
    this device has, None without."""
    if info is None:
        return "no GroupInfo is shown"
    try:
        found = read_group_info(info)
        group = verified_group(setting, found)
    except (MlsValidationError, TlsDecodeError) as error:
        return str(error)
    if not has_end_mls(group.context.extensions):
        return "it has not ended"
    return _other_group(group, held) or _stranger(setting, found.info, group, participants, held, now_s)


def _other_group(group: PublicGroup, held: EncryptedGroup | None) -> str:
    if held is None or held.is_downgraded:
        return ""
    if group.group_id != held.group_id:
        return "it is of another group"
    moment = Moment(era_of(group.context.extensions) or 0, int(group.epoch))
    return "" if moment > held.moment else f"it is of {moment}, and here is {held.moment}"


def _stranger(
    setting: MemberSetting,
    info: GroupInfo,
    group: PublicGroup,
    participants: Collection[str],
    held: EncryptedGroup | None,
    now_s: int,
) -> str:
    """Who has signed it has to take part: by a leaf that is known here, or by its certificate."""
    ghosts = roster_of(group.tree).ghosts(participants)
    signer = group.tree.leaf(info.signer)
    if signer is None or ghosts:
        return f"it has leaves of {', '.join(sorted(ghosts)) or 'nobody'}"
    if held is not None and held.names.get(signer.signature_key, "") in participants:
        return ""
    return _bad_certificate(setting, signer, now_s)


def _bad_certificate(setting: MemberSetting, signer: LeafNode, now_s: int) -> str:
    """That of a participant, judged as deployed peers do: how long it lasts yet says nothing about who has signed."""
    trust = setting.trust.validator
    tolerant = CertificateValidator(trust.anchors, Strictness.TOLERANT)
    if isinstance(signer.credential, X509Credential) and trust.is_revoked(signer.credential.certificates):
        return f"the certificate of {msisdn_of(signer)} is revoked"
    try:
        X509Identity(tolerant).verify_credential(signer.credential, signer.signature_key, now_s)
    except CertificateRefused as refused:
        return str(refused)
    return ""

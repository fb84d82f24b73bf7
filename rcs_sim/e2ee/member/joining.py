"""Joining by a Welcome (RCC.16 §6.2): the tree beside it or behind it, then everything that has to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rcs_sim.e2ee.certificate_profile import CertificateRefused
from rcs_sim.e2ee.continuity import find_continuity_token
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import RcsExtensionType
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import ControlRefusal
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.treeless_welcome import split_welcome
from rcs_sim.mls.client import KeyPackageKeys
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.joining import OpenedWelcome, open_welcome
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.welcome import KeyPackageRef, Welcome

__all__ = ["IncomingWelcome", "JoinedGroup", "join_group", "read_welcome"]

_KEYS = (RcsExtensionType.ICON_KEY, RcsExtensionType.SUBJECT_KEY)


@dataclass(frozen=True, slots=True)
class IncomingWelcome:
    """A Welcome, its tree if one came, and what the focus says of the state that it leads to, if it says so."""

    welcome: Welcome
    tree: RatchetTreeExtension | None
    state: EpochIdentifier | None

    def references(self) -> tuple[KeyPackageRef, ...]:
        """The KeyPackages that it is for."""
        return tuple(each.new_member for each in self.welcome.secrets)


@dataclass(frozen=True, slots=True)
class JoinedGroup:
    """The group of a Welcome, that of *committer*; *reference* is the KeyPackage that it has used."""

    group: EncryptedGroup
    committer: str
    reference: KeyPackageRef


def read_welcome(octets: bytes, tree: bytes, state: EpochIdentifier | None) -> IncomingWelcome | ControlRefusal:
    """A Welcome in its field, with the tree that came in a field of its own, or else behind the Welcome."""
    try:
        found = split_welcome(octets)
        body = MLSMessage.decode(found.welcome).body
        assert isinstance(body, Welcome)  # split_welcome lets nothing else through
        beside = tree or found.ratchet_tree
        return IncomingWelcome(body, RatchetTreeExtension.decode(beside) if beside else None, state)
    except TlsDecodeError as error:
        return ControlRefusal(f"a Welcome that cannot be read: {error}")


def join_group(
    setting: MemberSetting,
    incoming: IncomingWelcome,
    candidates: Sequence[KeyPackageKeys],
    envelope: Envelope,
    now_s: int,
) -> JoinedGroup | ControlRefusal:
    """The group, if everything fits: chain and age of each certificate, sender, era, and the authenticator that the
    focus names. The roster is for the conversation to judge. Nothing has changed in any case."""
    try:
        opened = open_welcome(incoming.welcome, candidates, setting.policy)
        mls = Group.join(opened, ratchet_tree=incoming.tree, policy=setting.policy, now_s=now_s)
        joined = _as_joined(setting, mls, opened)
    except CertificateRefused as error:
        return ControlRefusal(str(error), ClientFailureReason.INVALID_CREDENTIAL, error.rule)
    except MlsValidationError as error:
        return ControlRefusal(str(error), rule=error.rule)
    except (TlsDecodeError, CryptoError) as error:
        return ControlRefusal(str(error))
    return _check(joined, incoming.state, envelope)


def _as_joined(setting: MemberSetting, mls: Group, opened: OpenedWelcome) -> JoinedGroup:
    extensions = opened.group_info.extensions
    group = EncryptedGroup(
        setting, mls, continuity_token=find_continuity_token(extensions), welcome_extensions=_keys_in(extensions)
    )
    return JoinedGroup(group, group.roster.leaves[opened.group_info.signer], opened.keys.reference())


def _keys_in(extensions: Extensions) -> Extensions:
    """The keys of subject and icon, which only a Welcome brings."""
    return tuple(each for each in extensions if each.extension_type in _KEYS)


def _check(joined: JoinedGroup, state: EpochIdentifier | None, envelope: Envelope) -> JoinedGroup | ControlRefusal:
    group = joined.group
    if not envelope.may_be_from(joined.committer, group.own_number):
        shown = f"a Welcome of {joined.committer or 'nobody'}, sent by {envelope.asserted_sender}"
        return ControlRefusal(shown, None)
    if state is not None and state.epoch_authenticator and state != group.identifier:
        return ControlRefusal("the focus names another state than the one that was joined")
    return joined

"""Welcomes (RCC.16 §6.2)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.continuity import TOKEN_OCTETS
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, value_extension
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import ControlRefusal
from rcs_sim.e2ee.member.group_start import Era, start_group
from rcs_sim.e2ee.member.joining import IncomingWelcome, JoinedGroup, join_group, read_welcome
from rcs_sim.e2ee.treeless_welcome import append_tree
from rcs_sim.mls.welcome import KeyPackageRef
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, MemberDevice, make_member

_ENVELOPE = Envelope(message_id="c1", asserted_sender=ALICE, era=1)


def _welcomed(era: Era, first: str = "android") -> tuple[MemberDevice, IncomingWelcome, bytes, bytes]:
    alice, bob = make_member(ALICE, PROFILES[first]()), make_member(BOB, PROFILES["ios"]())
    request = start_group(alice.setting, [bob.claim()], era, "c1", NOW_S).operation.request
    assert request.group_info is not None
    incoming = read_welcome(request.welcome, request.group_info.ratchet_tree, request.result)
    assert isinstance(incoming, IncomingWelcome)
    return bob, incoming, request.welcome, request.group_info.ratchet_tree


def _join(bob: MemberDevice, incoming: IncomingWelcome) -> JoinedGroup:
    joined = join_group(bob.setting, incoming, bob.pool.candidates(incoming.references()), _ENVELOPE, NOW_S)
    assert isinstance(joined, JoinedGroup), joined
    return joined


def test_the_secrets_of_a_welcome_are_collected_when_it_is_opened() -> None:
    keys = (value_extension(RcsExtensionType.SUBJECT_KEY, b"\x07" * 32),)
    token = b"\x11" * TOKEN_OCTETS
    bob, incoming, _, _ = _welcomed(Era(group_id=b"g" * 36, token=token, welcome_extensions=keys))
    joined = _join(bob, incoming)
    assert joined.committer == ALICE
    assert joined.group.continuity_token == token
    assert joined.group.welcome_extensions == keys
    assert {int(each.extension_type) for each in joined.group.group.context.extensions} == {0xF001}


def test_a_profile_that_does_not_send_the_token_keeps_it_to_itself() -> None:
    bob, incoming, _, _ = _welcomed(Era(group_id=b"g" * 36), "strict-v3")
    assert _join(bob, incoming).group.continuity_token is None


def test_the_tree_is_found_beside_or_behind_the_welcome() -> None:
    _, incoming, welcome, tree = _welcomed(Era(group_id=b"g" * 36))
    behind = read_welcome(append_tree(welcome, tree), b"", incoming.state)
    assert behind == incoming
    without = read_welcome(welcome, b"", incoming.state)
    assert isinstance(without, IncomingWelcome)
    assert without.tree is None


def test_a_group_without_an_era_is_not_joined() -> None:
    bob, incoming, _, _ = _welcomed(Era(group_id=b"g" * 36))
    stranger = replace(incoming, state=None)
    assert isinstance(join_group(bob.setting, stranger, [], _ENVELOPE, NOW_S), ControlRefusal)
    assert stranger.references() == tuple(KeyPackageRef(each.new_member) for each in incoming.welcome.secrets)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_octets_are_read_or_refused(welcome: bytes, tree: bytes) -> None:
    assert isinstance(read_welcome(welcome, tree, None), (IncomingWelcome, ControlRefusal))

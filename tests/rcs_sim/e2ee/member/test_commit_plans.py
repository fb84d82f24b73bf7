"""What each Commit has in it (RCC.16 §9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rcs_sim.e2ee.custom_proposals import end_mls_proposal
from rcs_sim.e2ee.extension_bodies import DowngradeReason, EndMlsForm, RcsExtensionType, read_end_mls
from rcs_sim.e2ee.member import commit_plans
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.operations import E2eeRefused, SealRefusal
from rcs_sim.mls.extensions import find_extension
from rcs_sim.mls.proposals import GroupContextExtensions
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, Talk, established, make_member


def _group(name: str = "android") -> tuple[Talk, EncryptedGroup]:
    talk = established(make_member(ALICE, PROFILES[name]()), make_member(BOB, PROFILES[name]()))
    group = talk.devices[0].conversation.group
    assert group is not None
    return talk, group


@pytest.mark.parametrize(
    ("name", "form"),
    [("android", EndMlsForm.PROTOBUF), ("strict-v3", EndMlsForm.LITERAL), ("strict-v4", EndMlsForm.PROTOBUF)],
)
def test_the_end_is_written_in_the_profile_s_form_and_merged(name: str, form: EndMlsForm) -> None:
    _, group = _group(name)
    (proposal,) = commit_plans.end_mls_plan(group, DowngradeReason.CANNOT_FETCH_KEY_PACKAGES).proposals
    assert isinstance(proposal, GroupContextExtensions)
    assert proposal.extensions[0] == group.group.context.extensions[0]
    body = find_extension(proposal.extensions, RcsExtensionType.END_MLS)
    assert body is not None
    assert read_end_mls(body).form is form


def test_what_has_ended_is_only_revived() -> None:
    talk, group = _group()
    with pytest.raises(E2eeRefused):
        commit_plans.revive_plan(group)
    talk.request(
        talk.devices[0], talk.devices[0].conversation.control.end_mls(DowngradeReason.UNSET, talk.control_id(), NOW_S)
    )
    plans: tuple[Callable[[], object], ...] = (
        lambda: commit_plans.rekey_plan(group),
        lambda: commit_plans.sweep_plan(group),
        lambda: commit_plans.end_mls_plan(group, DowngradeReason.UNSET),
        lambda: commit_plans.self_update_plan(group, NOW_S),
        lambda: commit_plans.add_plan(group, []),
        lambda: commit_plans.remove_plan(group, [BOB]),
    )
    for plan in plans:
        with pytest.raises(E2eeRefused) as caught:
            plan()
        assert caught.value.refusal is SealRefusal.DOWNGRADED
    (proposal,) = commit_plans.revive_plan(group).proposals
    assert isinstance(proposal, GroupContextExtensions)
    assert find_extension(proposal.extensions, RcsExtensionType.END_MLS) is None


def test_removal_is_of_every_leaf_and_never_of_ourselves() -> None:
    talk = established(make_member(ALICE), make_member(BOB), make_member(BOB, client=2))
    group = talk.devices[0].conversation.group
    assert group is not None
    assert len(commit_plans.remove_plan(group, [BOB]).proposals) == 2
    for numbers in ([ALICE], ["12025550109"], []):
        with pytest.raises(E2eeRefused):
            commit_plans.remove_plan(group, numbers)


def test_a_sweep_needs_something_to_sweep_and_sees_who_asks_for_the_end() -> None:
    talk, group = _group("lineage-like")
    with pytest.raises(E2eeRefused):
        commit_plans.sweep_plan(group)
    assert not commit_plans.asks_for_end(group)
    group.group.propose(end_mls_proposal(), talk.devices[0].setting.random)
    assert commit_plans.asks_for_end(group)


def test_stale_members_are_those_under_thirty_days() -> None:
    _, group = _group()
    assert commit_plans.stale_members(group, NOW_S) == frozenset()
    assert commit_plans.stale_members(group, NOW_S + 60 * 86_400) == {ALICE, BOB}

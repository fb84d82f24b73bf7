"""Each check of §14.6: its token, its detail, and that it comes in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage, ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.custom_proposals import rcs_signature_proposal, self_remove_proposal, server_remove_proposal
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, era_extension, replace_extension, value_extension
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import GroupContextExtensions, Remove
from rcs_sim.server.mls_checks import CHECKS_BEFORE_MLS, digits_of
from rcs_sim.server.mls_request import read_group_info
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.rcs_sim.server.focus_lab import Table, bundle_of
from tests.support.focus_devices import ALICE, BOB, FocusDevice, end_mls

CAROL = "12025550154"
Change = Callable[[ClientMlsRcsMessage], ClientMlsRcsMessage]


def established(rules: MlsFocusRules | None = None) -> Table:
    table = Table(rules or MlsFocusRules())
    table.established()
    return table


def commit_refused(change: Change, **more: object) -> tuple[int, str, str]:
    table = established()
    return table.refused(table.alice, "id", change(table.alice.commit("id", **more)))


def without_rules(device: FocusDevice) -> MemberPolicy:
    """Of a device that does what RCC.16 forbids."""
    return replace(device.policy, seams=replace(device.policy.seams, verify_proposals=lambda _, __: None))


def test_there_is_a_function_per_check_in_the_order_of_the_table() -> None:
    numbers = [int((check.__doc__ or "0").partition(":")[0]) for check in CHECKS_BEFORE_MLS]
    assert numbers == list(range(2, 15))


def test_2_all_but_a_create_need_a_group() -> None:
    other = established()
    table = Table()
    for name, request in (
        ("commit", other.alice.commit("commit")),
        ("era", other.alice.new_era("era", [other.bob], other.alice.state)),
        ("propose", other.alice.propose("propose", Remove(LeafIndex(1)))),
    ):
        assert table.refused(table.alice, name, request) == (2, "mls-group-not-found", "")


def test_3_a_stranger_and_who_signs_for_another_are_not_in_the_group() -> None:
    table = established()
    expected = (3, "mismatched-rcs-group-state", "not-in-group")
    carol = FocusDevice(CAROL)
    assert table.refused(carol, "carol", table.alice.commit("carol")) == expected
    assert table.refused(table.bob, "bob", table.alice.commit("bob")) == expected
    assert Table().refused(table.bob, "create", table.alice.create("create", [table.bob])) == expected
    live = table.conversation.live
    assert live is not None
    tablet = FocusDevice(ALICE, "tablet")
    assert table.refused(table.bob, "ext", tablet.join_by_commit("ext", live.pulled, live.state)) == expected


def test_3_after_a_phoenix_the_other_has_no_leaf_to_commit_with() -> None:
    table = established()
    late = table.bob.commit("late")
    request = table.alice.new_era(
        "era", [], table.alice.state, kind=AdvanceKind.PHOENIX_DOWNGRADE, extensions=(end_mls(),)
    )
    table.accepted(table.alice, "era", request)
    assert table.refused(table.bob, "late", late) == (3, "mismatched-rcs-group-state", "not-in-group")


def test_6_a_proposal_and_an_external_commit_do_not_revive() -> None:
    table = established()
    table.bob.receive(bundle_of(table.accepted(table.alice, "end", table.alice.end_mls("end"))))
    expected = (6, "mls-group-has-end-mls", "")
    live = table.conversation.live
    assert live is not None
    assert table.refused(table.bob, "p", table.bob.propose("p", Remove(LeafIndex(0)))) == expected
    tablet = FocusDevice(ALICE, "tablet")
    tablet.policy = without_rules(tablet)
    assert table.refused(tablet, "ext", tablet.join_by_commit("ext", live.pulled, live.state)) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("base", lambda at: replace(at, era_id=2), (7, "incorrect-era", "")),
        ("base", lambda at: replace(at, epoch_id=0), (7, "incorrect-epoch", "")),
        ("base", lambda at: replace(at, epoch_authenticator=bytes(32)), (7, "incorrect-epoch-authenticator", "")),
        ("result", lambda at: replace(at, era_id=2), (7, "incorrect-era", "result")),
        ("result", lambda at: replace(at, epoch_id=9), (7, "incorrect-epoch", "result")),
    ],
)
def test_7_base_and_result_of_a_commit(
    name: str, value: Callable[[EpochIdentifier], EpochIdentifier], expected: tuple[int, str, str]
) -> None:
    def change(message: ClientMlsRcsMessage) -> ClientMlsRcsMessage:
        at = value(getattr(message, name))
        return replace(message, base=at) if name == "base" else replace(message, result=at)

    assert commit_refused(change) == expected


def test_7_another_group_id_is_told_with_ours() -> None:
    other = b"11111111-2222-4333-8444-555555555555"
    assert commit_refused(lambda it: replace(it, mls_group_id=other)) == (7, "incorrect-era", "mls_group_id")


def test_7_the_era_of_a_create_is_the_first_and_that_of_its_group_info() -> None:
    table = Table()
    assert table.refused(table.alice, "2", table.alice.create("2", [table.bob], era=2)) == (
        7,
        "incorrect-era",
        "result",
    )
    request = table.alice.create("1", [table.bob], era=2)
    assert request.result is not None
    lying = replace(request, result=replace(request.result, era_id=1))
    assert table.refused(table.alice, "1", lying) == (7, "incorrect-era", "group_info")
    request = table.alice.create("0", [table.bob])
    assert request.result is not None
    lying = replace(request, result=replace(request.result, epoch_id=5))
    assert table.refused(table.alice, "0", lying) == (7, "incorrect-epoch", "group_info")


def test_7_a_new_era_is_the_next_one() -> None:
    table = established()
    state = table.alice.state
    request = table.alice.create("era", [table.bob], era=3, base=state)
    assert table.refused(table.alice, "era", request) == (7, "incorrect-era", "result")


@pytest.mark.parametrize(
    "octets",
    [b"", b"junk", AuthenticatedData("other", 1).encode(), AuthenticatedData("id", 2).encode()],
    ids=["empty", "junk", "id", "era"],
)
def test_8_the_aad_names_request_and_era(octets: bytes) -> None:
    assert commit_refused(lambda it: it, authenticated_data=octets) == (8, "invalid-input", "aad")


def test_8_a_commit_is_no_private_message() -> None:
    table = established()
    sealed = table.alice.group.seal(b"x", table.alice.random).encode()
    request = replace(table.alice.commit("id"), commit=sealed)
    assert table.refused(table.alice, "id", request) == (8, "invalid-input", "aad")


def test_9_an_epoch_keeps_so_many_proposals() -> None:
    table = established(MlsFocusRules(max_cached_proposals=1))
    tablet = FocusDevice(BOB, "tablet", vendor_id=1)
    table.bob.receive(bundle_of(table.accepted(table.alice, "add", table.alice.commit("add", joiners=[tablet]))))
    one, two = (table.bob.propose(name, Remove(LeafIndex(2))) for name in ("one", "two"))
    assert table.ask(table.bob, "one", one).is_accepted
    assert table.refused(table.bob, "two", two) == (9, "pending-proposal", "proposal")


def test_10_the_operation_has_to_fit_the_sender() -> None:
    table = established()
    request = replace(table.alice.commit("id"), operation=ClientOperation.EXTERNAL_COMMIT)
    assert table.refused(table.alice, "id", request) == (10, "invalid-commit", "external-commit-refused")


def test_11_the_era_of_a_group_stays() -> None:
    table = established()
    moved = GroupContextExtensions(replace_extension(table.alice.group.context.extensions, era_extension(2)))
    table.alice.group.policy = without_rules(table.alice)
    request = table.alice.commit("id", moved)
    assert table.refused(table.alice, "id", request) == (11, "invalid-commit", "proposal")


@pytest.mark.parametrize("proposal", [rcs_signature_proposal(), server_remove_proposal(LeafIndex(1))])
def test_11_what_is_never_committed_is_not_proposed_either(proposal: object) -> None:
    table = established()
    request = table.alice.propose("id", proposal)
    assert table.refused(table.alice, "id", request) == (11, "invalid-commit", "proposal")


def test_11_a_new_era_keeps_committed_metadata_and_end_mls_by_its_kind() -> None:
    table = Table()
    subject = value_extension(RcsExtensionType.SUBJECT_COMMITMENT, bytes(32))
    table.accepted(table.alice, "create", table.alice.create("create", [table.bob], extensions=(subject,)))
    state = table.alice.state
    expected = (11, "invalid-commit", "proposal")
    for name, kind, extensions in (
        ("drops", AdvanceKind.NORMAL, ()),
        ("ends", AdvanceKind.NORMAL, (subject, end_mls())),
        ("revives", AdvanceKind.REVIVAL, (subject, end_mls())),
        ("phoenix", AdvanceKind.PHOENIX_DOWNGRADE, (subject,)),
    ):
        request = table.alice.new_era(name, [table.bob], state, kind=kind, extensions=extensions)
        assert table.refused(table.alice, name, request) == expected
    kept = table.alice.new_era("kept", [table.bob], state, extensions=(subject,))
    table.accepted(table.alice, "kept", kept)


def test_12_the_first_certificate_inside_the_floor_is_named() -> None:
    table = Table()
    old = FocusDevice(BOB, vendor_id=1, issued_s=table.now_s - 31 * 86_400)
    assert table.refused(table.alice, "id", table.alice.create("id", [old])) == (
        12,
        "expired-credential",
        f"tel:+{BOB}",
    )


def test_12_a_proposal_is_refused_while_a_certificate_is_inside_the_floor() -> None:
    table = established()
    table.wait(31 * 86_400)
    request = table.alice.propose("id", Remove(LeafIndex(1)))
    assert table.refused(table.alice, "id", request) == (12, "expired-credential", f"tel:+{ALICE}")


def test_13_the_tree_has_the_two_participants_and_nobody_else() -> None:
    table = Table()
    token = "mismatched-rcs-group-state"
    carol = FocusDevice(CAROL)
    assert table.refused(table.alice, "alone", table.alice.create("alone")) == (1, "invalid-input", "welcome")
    others = [table.bob, carol]
    assert table.refused(table.alice, "ghost", table.alice.create("ghost", others)) == (13, token, f"tel:+{CAROL}")
    only = table.alice.create("only", [FocusDevice(ALICE, "tablet")])
    assert table.refused(table.alice, "only", only) == (13, token, f"tel:+{BOB}")
    table.established()
    commit = table.alice.commit("add", joiners=[carol])
    assert table.refused(table.alice, "add", commit) == (13, token, f"tel:+{CAROL}")
    gone = replace(table.alice.commit("kick"), remove=(f"tel:+{BOB};x=y",))
    assert table.refused(table.alice, "kick", gone) == (13, token, f"tel:+{BOB}")
    leave = table.bob.propose("leave", self_remove_proposal())
    assert table.refused(table.bob, "leave", leave) == (13, token, f"tel:+{BOB}")


def test_13_a_phoenix_has_no_stranger_either() -> None:
    table = established()
    request = table.alice.new_era(
        "id",
        [FocusDevice(CAROL)],
        table.alice.state,
        kind=AdvanceKind.PHOENIX_DOWNGRADE,
        extensions=(end_mls(),),
    )
    assert table.refused(table.alice, "id", request)[0] == 13


def test_14_the_group_info_carries_external_pub_and_no_tree_or_secret() -> None:
    expected = (14, "invalid-commit", "group_info")
    token = value_extension(RcsExtensionType.CONTINUITY_TOKEN, bytes(32))
    key = value_extension(RcsExtensionType.SUBJECT_KEY, bytes(32))
    tree = Extension(ExtensionType.RATCHET_TREE, b"\x00")
    for extension in (token, key, tree):
        assert commit_refused(lambda it: it, info_extensions=(extension,)) == expected
    table = established()
    request = table.alice.commit("id")
    bare = MLSMessage(table.alice.next_group.group_info(with_external_pub=False)).encode()
    assert request.group_info is not None
    request = replace(request, group_info=replace(request.group_info, group_info=bare))
    assert table.refused(table.alice, "id", request) == expected


def test_14_a_commitment_comes_with_group_data_and_keys_and_the_reverse() -> None:
    table = established()
    subject = value_extension(RcsExtensionType.SUBJECT_COMMITMENT, bytes(32))
    change = GroupContextExtensions((*table.alice.group.context.extensions, subject))
    bare = table.alice.commit("bare", change)
    assert table.refused(table.alice, "bare", bare) == (14, "invalid-commit", "groupdata")
    lone = replace(table.alice.commit("lone"), groupdata=b"<x/>")
    assert table.refused(table.alice, "lone", lone) == (14, "invalid-commit", "groupdata")
    whole = table.alice.commit("whole", change)
    sealed = table.alice.group.seal(b"the key", table.alice.random).encode()
    request = replace(whole, groupdata=b"<x/>", key_delivery=(sealed,))
    decision = table.accepted(table.alice, "whole", request)
    assert bundle_of(decision).key_delivery == (sealed,)


def test_14_signatures_and_hashes_are_those_of_the_tree() -> None:
    table = established()
    other = established()
    request, foreign = table.alice.commit("id"), other.bob.commit("id")
    assert request.group_info is not None
    assert foreign.group_info is not None
    for change in (
        replace(request, commit=_bent(request.commit)),
        replace(request, group_info=replace(request.group_info, group_info=_bent(request.group_info.group_info, 20))),
        replace(request, group_info=replace(request.group_info, group_info=foreign.group_info.group_info)),
        replace(request, group_info=replace(request.group_info, ratchet_tree=foreign.group_info.ratchet_tree)),
    ):
        check, token, _ = table.refused(table.alice, "id", change)
        assert (check, token) == (14, "invalid-commit")
        table.conversation = replace(table.conversation, answers=())


def _bent(octets: bytes, before_end: int = 100) -> bytes:
    """One bit in the signature of a commit, which two tags follow."""
    at = len(octets) - before_end
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def test_15_the_confirmation_tags_are_equal() -> None:
    table = established()
    request = table.alice.commit("id")
    assert request.group_info is not None
    info = read_group_info(request.group_info.group_info)
    lying = replace(info, confirmation_tag=bytes(32), signature=b"")
    key, suite = table.alice.leaf_key, table.alice.client.suite
    signed = replace(lying, signature=suite.sign_with_label(key, "GroupInfoTBS", lying.to_be_signed()))
    beside = MlsGroupInfo(
        MLSMessage(signed).encode(), request.group_info.ratchet_tree, request.group_info.epoch_authenticator
    )
    check = table.refused(table.alice, "id", replace(request, group_info=beside))
    assert check == (15, "mismatched-confirmation-tag", "")


def test_the_first_failure_decides() -> None:
    """Wrong base, wrong AAD, a ghost and a bent signature in one request: the base is told."""
    table = established()
    request = table.alice.commit("id", joiners=[FocusDevice(CAROL)], authenticated_data=b"")
    assert request.base is not None
    wrong = replace(request, base=replace(request.base, epoch_id=7), commit=_bent(request.commit))
    assert table.refused(table.alice, "id", wrong)[0] == 7
    assert table.refused(table.alice, "id2", replace(request, commit=_bent(request.commit)))[0] == 8


@pytest.mark.parametrize(
    ("uri", "digits"), [("tel:+1202;x=9", "1202"), ("+12 02", "1202"), ("", ""), ("sip:me@home", ""), ("tel:+²", "")]
)
def test_digits_of_a_uri(uri: str, digits: str) -> None:
    assert digits_of(uri) == digits

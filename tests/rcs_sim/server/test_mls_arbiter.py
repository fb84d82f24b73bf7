"""The focus decides: what it accepts, and that the state goes from one accepted request to the next (§14.3, §14.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.extension_bodies import has_end_mls, without_extensions
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import GroupContextExtensions, Remove
from rcs_sim.server.mls_conversation import MlsConversation, pair_of
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.rcs_sim.server.focus_lab import Table, bundle_of, proposal_of
from tests.support.focus_devices import ALICE, BOB, FocusDevice, end_mls, seams


def test_a_create_begins_a_conversation_and_its_welcome_lets_the_other_in() -> None:
    table = Table()
    decision = table.established()
    assert table.conversation.state == table.alice.state == table.bob.state
    bundle = bundle_of(decision)
    assert (bundle.commit, bundle.state) == (b"", table.alice.state)
    assert decision.fan_out is not None
    assert (decision.fan_out.era, decision.fan_out.authenticator) == (1, table.alice.state.epoch_authenticator)
    assert decision.fan_out.members == (ALICE, BOB)


def test_commits_follow_each_other_from_both_sides() -> None:
    table = Table()
    table.established()
    for number, (device, other) in enumerate([(table.alice, table.bob), (table.bob, table.alice)] * 2):
        decision = table.committed(device, other, f"rekey-{number}")
        assert table.conversation.state == device.state == other.state
        assert decision.fan_out is not None
        assert decision.fan_out.authenticator != device.state.epoch_authenticator  # the base, of those who follow


def test_of_two_commits_on_one_base_the_first_wins() -> None:
    table = Table()
    table.established()
    one, two = table.alice.commit("one"), table.bob.commit("two")
    table.accepted(table.alice, "one", one)
    assert table.refused(table.bob, "two", two) == (7, "incorrect-epoch", "")
    answer = table.conversation.answer_to(BOB, "two")
    assert answer is not None
    assert (answer.era, answer.epoch, answer.group_id) == (1, 2, table.alice.group.group_id)


def test_of_two_creates_that_cross_the_first_wins() -> None:
    table = Table()
    second = table.bob.create("two", [table.alice], group_id=b"11111111-2222-4333-8444-555555555555")
    table.accepted(table.alice, "one", table.alice.create("one", [table.bob]))
    assert table.refused(table.bob, "two", second) == (4, "incorrect-era", "held")
    answer = table.conversation.answer_to(BOB, "two")
    assert answer is not None
    assert answer.group_id == table.alice.group.group_id


def test_a_new_era_replaces_the_group_under_its_id() -> None:
    table = Table()
    table.established()
    request = table.bob.new_era("era-2", [table.alice], table.bob.state)
    decision = table.accepted(table.bob, "era-2", request)
    table.alice.receive(bundle_of(decision))
    state = table.state
    assert state == table.alice.state == table.bob.state
    assert (state.era_id, state.epoch_id) == (2, 1)
    assert table.conversation.live is not None
    assert len(table.conversation.live.authenticators) == 1


def test_a_second_device_of_a_participant_comes_in_by_an_adding_commit() -> None:
    table = Table()
    table.established()
    tablet = FocusDevice(BOB, "tablet", vendor_id=1)
    decision = table.accepted(table.alice, "add", table.alice.commit("add", joiners=[tablet]))
    bundle = bundle_of(decision)
    for device in (tablet, table.bob):  # the same octets to both
        device.receive(bundle)
        assert device.group.epoch_authenticator == table.alice.group.epoch_authenticator


def test_a_device_without_a_leaf_may_join_by_an_external_commit() -> None:
    table = Table()
    table.established()
    live = table.conversation.live
    assert live is not None
    tablet = FocusDevice(ALICE, "tablet")
    table.accepted(tablet, "ext", tablet.join_by_commit("ext", live.pulled, live.state))
    assert table.conversation.state == tablet.state


def test_a_member_may_come_back_by_an_external_commit_where_the_carrier_allows_it() -> None:
    for allows in (False, True):
        table = Table(MlsFocusRules(accepts_member_external_commit=allows))
        table.established()
        live = table.conversation.live
        assert live is not None
        request = table.bob.join_by_commit("ext", live.pulled, live.state, Remove(LeafIndex(1)))
        if allows:
            table.accepted(table.bob, "ext", request)
            assert table.conversation.state == table.bob.state
        else:
            assert table.refused(table.bob, "ext", request) == (10, "invalid-commit", "external-commit-refused")


def test_a_proposal_goes_to_the_others_and_has_to_be_swept_by_the_next_commit() -> None:
    table = Table()
    table.established()
    tablet = FocusDevice(BOB, "tablet", vendor_id=1)
    table.bob.receive(bundle_of(table.accepted(table.alice, "add", table.alice.commit("add", joiners=[tablet]))))
    remove = Remove(LeafIndex(2))
    decision = table.ask(table.bob, "propose", table.bob.propose("propose", remove))
    assert decision.is_accepted
    table.alice.keep(proposal_of(decision))
    lazy = table.alice.commit("lazy", references=False)
    assert table.refused(table.alice, "lazy", lazy) == (9, "pending-proposal", "")
    table.accepted(table.alice, "sweep", table.alice.commit("sweep"))
    assert table.conversation.state == table.alice.state


def test_mls_is_ended_and_revived_in_place() -> None:
    table = Table()
    table.established()
    table.bob.receive(bundle_of(table.accepted(table.alice, "end", table.alice.end_mls("end"))))
    assert table.conversation.live is not None
    assert has_end_mls(table.conversation.live.group.context.extensions)
    assert table.refused(table.bob, "no", table.bob.commit("no")) == (6, "mls-group-has-end-mls", "")
    after = without_extensions(table.bob.group.context.extensions, (end_mls().extension_type,))
    table.accepted(table.bob, "revive", table.bob.commit("revive", GroupContextExtensions(after)))
    assert table.conversation.state == table.bob.state


def test_a_phoenix_is_born_without_encryption_and_the_other_side_revives_it_in_a_new_era() -> None:
    table = Table()
    table.established()
    request = table.alice.new_era(
        "phoenix", [], table.alice.state, kind=AdvanceKind.PHOENIX_DOWNGRADE, extensions=(end_mls(),)
    )
    decision = table.accepted(table.alice, "phoenix", request)
    assert (table.conversation.state, decision.fan_out and decision.fan_out.members) == (table.alice.state, (ALICE,))
    assert table.state.epoch_id == 0
    revival = table.bob.new_era("revive", [table.alice], table.state, kind=AdvanceKind.REVIVAL)
    table.alice.receive(bundle_of(table.accepted(table.bob, "revive", revival)))
    assert table.conversation.state == table.alice.state == table.bob.state


def test_a_self_update_of_a_certificate_that_ends_soon_clears_the_conversation() -> None:
    table = Table()
    table.established()
    table.wait(31 * 86_400)  # leaves of 60 days are inside the floor now
    bob_new = table.bob.certified(table.now_s)
    assert table.refused(table.bob, "bob", table.bob.commit("bob", client=bob_new)) == (
        12,
        "expired-credential",
        f"tel:+{ALICE}",
    )
    table.alice, table.bob = (
        FocusDevice(ALICE, issued_s=table.now_s),
        FocusDevice(BOB, vendor_id=1, issued_s=table.now_s),
    )
    table.wait(0)
    table.accepted(table.alice, "era", table.alice.new_era("era", [table.bob], table.state))


def test_the_carve_out_is_for_the_leaf_that_the_self_update_replaces() -> None:
    table = Table()
    table.bob = FocusDevice(BOB, vendor_id=1, issued_s=table.now_s - 25 * 86_400)
    alice, bob = table.alice, table.bob
    bob.receive(bundle_of(table.accepted(alice, "create", alice.create("create", [bob]))))
    table.wait(10 * 86_400)
    assert table.refused(alice, "a", alice.commit("a")) == (12, "expired-credential", f"tel:+{BOB}")
    assert table.refused(bob, "b", bob.commit("b")) == (12, "expired-credential", f"tel:+{BOB}")
    table.accepted(bob, "update", bob.commit("update", client=bob.certified(table.now_s)))
    assert table.conversation.state == bob.state


def test_a_request_that_is_repeated_gets_the_answer_of_then() -> None:
    table = Table()
    request = table.alice.create("create", [table.bob])
    first = table.ask(table.alice, "create", request)
    table.alice.adopt()
    table.bob.receive(bundle_of(first))
    table.committed(table.bob, table.alice, "rekey")
    again = table.ask(table.alice, "create", request)
    assert (again.answer, again.fan_out, again.is_new) == (first.answer, None, False)


def test_the_same_id_with_other_octets_is_refused_and_the_first_answer_stays() -> None:
    table = Table()
    table.established()
    assert table.refused(table.alice, "create", table.alice.commit("create")) == (1, "invalid-input", "message-id")
    answer = table.conversation.answer_to(ALICE, "create")
    assert answer is not None
    assert answer.reason == ""


def test_a_context_id_is_used_once_and_a_deployed_server_says_yes_to_the_second() -> None:
    for accepts in (False, True):
        table = Table(MlsFocusRules(accepts_known_context=accepts))
        table.established()
        state = table.conversation.state
        used = table.conversation.context_ids[0]
        request = replace(table.alice.new_era("era", [table.bob], table.alice.state), context_id=used)
        decision = table.ask(table.alice, "era", request)
        assert decision.is_accepted is accepts
        assert (table.conversation.state, decision.fan_out) == (state, None)
        assert decision.answer.era == 1
        if not accepts:
            assert (decision.answer.reason, decision.answer.detail) == ("invalid-input", "context_id")


def test_quotas_are_off_but_that_of_external_commits() -> None:
    table = Table(MlsFocusRules(eras_per_day=1, epochs_per_day=2, external_commits_per_day=0))
    table.established()
    live = table.conversation.live
    assert live is not None
    tablet = FocusDevice(ALICE, "tablet")
    external = tablet.join_by_commit("ext", live.pulled, live.state)
    assert table.refused(tablet, "ext", external) == (5, "epoch-advancement-quota-reached", "")
    table.committed(table.alice, table.bob, "1")
    table.committed(table.alice, table.bob, "2")
    assert table.refused(table.bob, "3", table.bob.commit("3")) == (5, "epoch-advancement-quota-reached", "")
    decision = table.accepted(table.bob, "4", table.bob.new_era("4", [table.alice], table.bob.state))
    table.alice.receive(bundle_of(decision))
    again = table.alice.new_era("5", [table.bob], table.alice.state)
    assert table.refused(table.alice, "5", again) == (5, "era-advancement-quota-reached", "")
    table.wait(86_401)
    fresh = table.alice.new_era("6", [table.bob], table.alice.state)
    table.accepted(table.alice, "6", fresh)
    assert MlsFocusRules().external_commits_per_day == 50


def test_requests_of_one_participant_do_not_push_out_answers_to_the_other() -> None:
    table = Table()
    table.established()
    request = table.alice.commit("mine")
    table.accepted(table.alice, "mine", request)
    for number in range(100):
        table.ask_octets(BOB, f"junk-{number}", b"\xff")
    again = table.ask(table.alice, "mine", request)
    assert (again.is_accepted, again.is_new) == (True, False)
    assert len(table.conversation.answers) <= 2 * MlsFocusRules().answers_kept


def test_what_is_kept_of_one_era_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcs_sim.server.mls_arbiter._MAX_MOMENTS", 4)
    table = Table()
    table.established()
    for number in range(8):
        table.accepted(table.alice, f"c{number}", table.alice.commit(f"c{number}"))
    kept = table.conversation
    assert kept.live is not None
    assert [each.control_id for each in kept.log] == ["c4", "c5", "c6", "c7"]
    assert len(kept.live.authenticators) == 4
    assert len(kept.epochs_at_s) <= 4


def test_a_welcome_goes_out_with_who_is_added_and_with_nothing_else() -> None:
    table = Table()
    table.established()
    tablet = FocusDevice(BOB, "tablet", vendor_id=1)
    adding = table.alice.commit("add", joiners=[tablet])
    lone = replace(adding, welcome=b"")
    assert table.refused(table.alice, "add", lone) == (1, "invalid-input", "welcome")
    stray = replace(table.alice.commit("stray"), welcome=adding.welcome)
    assert bundle_of(table.accepted(table.alice, "stray", stray)).welcome == b""


def test_an_operator_can_switch_encryption_off() -> None:
    table = Table(MlsFocusRules(is_available=False))
    request = table.alice.create("create", [table.bob])
    assert table.refused(table.alice, "create", request) == (0, "encryption-not-available", "")


def test_the_log_keeps_the_present_era_and_older_entries_for_thirty_days() -> None:
    table = Table()
    table.established()
    table.committed(table.alice, table.bob, "one")
    first = [each.control_id for each in table.conversation.log]
    assert first == ["create", "one"]
    decision = table.accepted(table.bob, "era", table.bob.new_era("era", [table.alice], table.bob.state))
    table.alice.receive(bundle_of(decision))
    assert [each.control_id for each in table.conversation.log] == ["create", "one", "era"]


def test_a_conversation_is_the_same_after_it_was_stored() -> None:
    table = Table()
    table.established()
    table.committed(table.alice, table.bob, "one")
    record = table.conversation.to_record()
    restored = MlsConversation.of_record(record, table.conversation.log, seams())
    assert restored.to_record() == record
    assert (restored.log, restored.state) == (table.conversation.log, table.conversation.state)
    table.conversation = restored
    table.committed(table.bob, table.alice, "two")
    assert table.conversation.state == table.alice.state


_TOKENS = {str(reason) for reason in ServerFailureReason}
_MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@_MANY
@given(octets=st.binary(max_size=400))
def test_any_octets_are_refused_by_name_and_change_nothing(octets: bytes) -> None:
    table = Table()
    before = table.conversation
    decision = table.ask_octets(ALICE, "id", octets)
    assert decision.answer.reason in _TOKENS
    assert decision.check in range(1, 16)
    assert replace(table.conversation, answers=()) == before
    assert MlsConversation(pair_of(BOB, ALICE)) == before


_SHARED = Table()
_SHARED.established()
_REQUESTS = (
    _SHARED.alice.commit("x").encode(),
    _SHARED.alice.new_era("x", [_SHARED.bob], _SHARED.alice.state).encode(),
    _SHARED.alice.propose("x", Remove(LeafIndex(1))).encode(),
)


@_MANY
@given(data=st.data())
def test_a_request_with_some_octets_changed_is_refused_or_the_same(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from(_REQUESTS)))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del octets[data.draw(st.integers(0, len(octets) - 1)) :]
    before = _SHARED.conversation
    decision = _SHARED.arbiter.decide(before, ALICE, "x", bytes(octets), _SHARED.now_s)
    if decision.is_accepted:
        return  # what was changed is of no meaning to the focus
    assert decision.answer.reason in _TOKENS
    assert replace(decision.conversation, answers=before.answers) == before

"""Ordinary and enhanced pulls, pages of the log, and the throttle of a deployed server (§4.7, §14.3, §14.4)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.server_message import CommitBundle, decode_server_message
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.proposals import Remove
from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.server.mls_pull import ReadThrottle, answer_pull
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.rcs_sim.server.focus_lab import Table, bundle_of
from tests.support.focus_devices import ALICE, BOB, FocusDevice

STRICT = MlsFocusRules(page_size=3)


def table_of(commits: int, rules: MlsFocusRules = STRICT) -> Table:
    table = Table(rules)
    table.established()
    for number in range(commits):
        table.committed(table.alice, table.bob, f"rekey-{number}")
    return table


def enhanced(table: Table, held: EpochIdentifier, rules: MlsFocusRules = STRICT) -> MlsEnhancedGroupInfo:
    pulled = answer_pull(rules, table.conversation, BOB, held.encode())
    assert pulled.content_type == "message/mls-rcs"
    return MlsEnhancedGroupInfo.decode(pulled.body)


def refused(rules: MlsFocusRules, conversation: MlsConversation, sender: str = ALICE) -> tuple[int, str]:
    with pytest.raises(MlsRefused) as refusal:
        answer_pull(rules, conversation, sender, b"")
    return refusal.value.check, str(refusal.value.reason)


def test_an_empty_body_pulls_the_group_info_with_which_one_can_join() -> None:
    table = table_of(1)
    pulled = answer_pull(STRICT, table.conversation, BOB, b"")
    assert pulled.content_type == "message/mls-rcs-server"
    arm = decode_server_message(pulled.body)
    assert isinstance(arm, MlsGroupInfo)
    assert arm.epoch_authenticator == table.alice.group.epoch_authenticator
    tablet = FocusDevice(ALICE, "tablet")
    assert table.conversation.state is not None
    table.accepted(tablet, "ext", tablet.join_by_commit("ext", arm, table.conversation.state))


@pytest.mark.parametrize("body", [b"\x08\x00\x10\x00", b"\x1a\x00", b"\x48\x01"], ids=["zeros", "empty", "unknown"])
def test_an_identifier_of_nothing_is_an_ordinary_pull_however_it_is_written(body: bytes) -> None:
    table = table_of(0)
    pulled = answer_pull(STRICT, table.conversation, ALICE, body)
    assert pulled == answer_pull(STRICT, table.conversation, ALICE, b"")


def test_pages_lead_from_the_state_of_who_asks_to_the_latest() -> None:
    table = Table(STRICT)
    table.established()
    behind = table.bob.state
    for number in range(7):
        table.accepted(table.alice, f"{number}", table.alice.commit(f"{number}"))
    told: list[str] = []
    at, pages = behind, 0
    while True:
        page = enhanced(table, at)
        assert page.latest == table.alice.state
        assert page.paginated is not None
        for message in page.control_messages:
            bundle = decode_server_message(message.server_message)
            assert isinstance(bundle, CommitBundle)
            table.bob.receive(bundle)
            told.append(message.message_id)
        at, pages = page.paginated, pages + 1
        if at == page.latest:
            break
    assert told == [str(number) for number in range(7)]
    assert pages == 3
    assert table.bob.state == table.alice.state
    assert enhanced(table, at).control_messages == ()


def test_a_new_era_is_in_the_log_of_who_was_in_the_old_one() -> None:
    table = table_of(1)
    behind = table.bob.state
    request = table.alice.new_era("era", [table.bob], table.alice.state)
    table.accepted(table.alice, "era", request)
    page = enhanced(table, behind)
    assert [each.message_id for each in page.control_messages] == ["era"]
    assert page.paginated == page.latest == table.alice.state


def test_a_state_that_the_focus_never_had_gets_no_list_and_no_place() -> None:
    table = table_of(2)
    page = enhanced(table, EpochIdentifier(1, 1, bytes(32)))
    assert (page.control_messages, page.paginated) == ((), None)
    assert page.group_info is not None


def test_a_deployed_server_has_no_log() -> None:
    rules = MlsFocusRules(has_control_log=False)
    table = table_of(2, rules)
    assert table.conversation.log == ()
    assert enhanced(table, table.alice.state, rules).paginated is None


def test_a_page_does_not_end_between_the_proposals_of_an_epoch() -> None:
    table = Table(MlsFocusRules(page_size=2))
    table.established()
    behind = table.bob.state
    tablet = FocusDevice(BOB, "tablet", vendor_id=1)
    table.bob.receive(bundle_of(table.accepted(table.alice, "add", table.alice.commit("add", joiners=[tablet]))))
    for number in range(4):
        request = table.bob.propose(f"p{number}", Remove(LeafIndex(2)))
        assert table.ask(table.bob, f"p{number}", request).is_accepted
    page = enhanced(table, behind, MlsFocusRules(page_size=2))
    assert [each.message_id for each in page.control_messages] == ["add", "p0", "p1", "p2", "p3"]


def test_there_may_be_nothing_to_pull() -> None:
    table = table_of(0)
    empty = MlsConversation(table.conversation.pair)
    assert refused(STRICT, empty) == (2, "mls-group-not-found")
    silent = MlsFocusRules(has_server_group_info=False)
    assert refused(silent, table.conversation) == (1, "invalid-input")
    assert refused(silent, empty) == (2, "mls-group-not-found")
    assert refused(replace(STRICT, is_available=False), table.conversation) == (0, "encryption-not-available")
    assert refused(STRICT, table.conversation, "12025550154") == (3, "mismatched-rcs-group-state")


def test_a_server_that_gives_no_group_info_out_says_that_encryption_has_ended() -> None:
    silent = MlsFocusRules(has_server_group_info=False)
    table = table_of(0)
    assert table.ask(table.alice, "end", table.alice.end_mls("end")).is_accepted
    assert refused(silent, table.conversation) == (6, "mls-group-has-end-mls")


@given(st.binary(max_size=60))
def test_any_octets_are_a_pull_or_refused(body: bytes) -> None:
    with suppress(MlsRefused):
        answer_pull(STRICT, _TABLE.conversation, ALICE, body)


_TABLE = table_of(1)


def test_after_ten_reads_there_is_none_for_two_hundred_seconds() -> None:
    throttle = ReadThrottle(MlsFocusRules(reads_per_window=10))
    assert [throttle.allows("a", float(second)) for second in range(11)] == [True] * 10 + [False]
    assert throttle.allows("b", 11.0)
    assert not throttle.allows("a", 208.0)
    assert throttle.allows("a", 209.0)
    throttle.forget(1000.0)
    assert throttle.allows("a", 1000.0)


def test_reads_that_are_far_apart_are_not_counted_together() -> None:
    throttle = ReadThrottle(MlsFocusRules(reads_per_window=2))
    assert all(throttle.allows("a", 201.0 * number) for number in range(9))
    assert all(ReadThrottle(MlsFocusRules()).allows("a", 0.0) for _ in range(100))

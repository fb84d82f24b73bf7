"""Application messages at the focus: two headers are compared (§14.6, last paragraphs)."""

from __future__ import annotations

import pytest

from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.server.mls_gate import verify_application_message
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_rules import MlsFocusRules
from tests.rcs_sim.server.focus_lab import Table
from tests.support.focus_devices import ALICE

RULES = MlsFocusRules()


def refused(
    table: Table, era: int | None, authenticator: bytes | None, rules: MlsFocusRules = RULES
) -> tuple[int, str, str]:
    with pytest.raises(MlsRefused) as refusal:
        verify_application_message(rules, table.conversation, era, authenticator, table.now_s)
    return refusal.value.check, str(refusal.value.reason), refusal.value.detail


def established() -> Table:
    table = Table()
    table.established()
    return table


def test_the_present_state_passes_and_an_older_one_of_this_era() -> None:
    table = established()
    older = table.alice.group.epoch_authenticator
    table.committed(table.alice, table.bob, "rekey")
    for authenticator in (older, table.alice.group.epoch_authenticator):
        verify_application_message(RULES, table.conversation, 1, authenticator, table.now_s)


def test_another_era_and_an_authenticator_never_seen_are_refused() -> None:
    table = established()
    own = table.alice.group.epoch_authenticator
    assert refused(table, 2, own) == (7, "incorrect-era", "")
    assert refused(table, 1, bytes(32)) == (7, "incorrect-epoch-authenticator", "")
    table.accepted(table.alice, "era", table.alice.new_era("era", [table.bob], table.alice.state))
    assert refused(table, 1, own) == (7, "incorrect-era", "")
    assert refused(table, 2, own) == (7, "incorrect-epoch-authenticator", "")


def test_without_headers_there_is_nothing_to_compare() -> None:
    table = established()
    verify_application_message(RULES, table.conversation, None, bytes(32), table.now_s)
    verify_application_message(RULES, table.conversation, 1, None, table.now_s)


def test_a_conversation_that_is_not_known_is_told_so() -> None:
    table = established()
    table.conversation = MlsConversation(table.conversation.pair)
    assert refused(table, 1, bytes(32)) == (2, "mls-group-not-found", "")
    assert refused(table, 1, bytes(32), MlsFocusRules(is_available=False)) == (0, "encryption-not-available", "")


def test_a_deployed_server_refuses_messages_too_while_a_certificate_is_inside_the_floor() -> None:
    table = established()
    table.now_s += 31 * 86_400
    own = table.alice.group.epoch_authenticator
    verify_application_message(RULES, table.conversation, 1, own, table.now_s)
    strict = MlsFocusRules(checks_floor_of_messages=True)
    assert refused(table, 1, own, strict) == (12, "expired-credential", f"tel:+{ALICE}")

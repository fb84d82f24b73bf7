from __future__ import annotations

import pytest

from rcs_sim.client.chat_mode import ChatMode, ContentKind, ModeRules, choose_mode, may_fall_back, possible_modes

_BOTH = ModeRules(standalone_auth=1, chat_auth=True)


def test_below_the_switchover_size_it_is_pager_mode_p01() -> None:
    assert choose_mode(1299, _BOTH).mode is ChatMode.PAGER


def test_at_the_switchover_size_a_session_is_chosen_p01() -> None:
    decision = choose_mode(1300, _BOTH)
    assert decision.mode is ChatMode.SESSION
    assert decision.is_available


@pytest.mark.parametrize(
    ("standalone", "chat", "session", "octets", "mode"),
    [
        (1, False, False, 2000, ChatMode.LARGE),
        (0, True, False, 10, ChatMode.SESSION),
        (2, True, False, 10, ChatMode.SESSION),
        (0, False, False, 10, ChatMode.SMS),
        (1, True, True, 10, ChatMode.SESSION),
    ],
)
def test_the_selection_rule(standalone: int, chat: bool, session: bool, octets: int, mode: ChatMode) -> None:
    rules = ModeRules(standalone_auth=standalone, chat_auth=chat)
    decision = choose_mode(octets, rules, has_session=session)
    assert decision.mode is mode
    assert decision.is_available


@pytest.mark.parametrize("chat", [True, False])
def test_a_device_without_msrp_says_that_it_lacks_the_mode(chat: bool) -> None:
    decision = choose_mode(2000, ModeRules(standalone_auth=1, chat_auth=chat, has_msrp=False))
    assert not decision.is_available
    assert "sessions" in decision.unavailable


def test_a_device_that_prefers_sessions_uses_pager_mode_only_without_chat_auth() -> None:
    preferring = ModeRules(standalone_auth=1, chat_auth=True, prefers_sessions=True)
    assert choose_mode(10, preferring).mode is ChatMode.SESSION
    assert possible_modes(10, preferring) == {ChatMode.SESSION}
    assert choose_mode(10, ModeRules(standalone_auth=1, prefers_sessions=True)).mode is ChatMode.PAGER


def test_the_modes_that_are_left_when_one_has_failed() -> None:
    assert possible_modes(10, _BOTH) == {ChatMode.PAGER, ChatMode.SESSION, ChatMode.LARGE}
    assert possible_modes(1300, _BOTH) == {ChatMode.SESSION, ChatMode.LARGE}
    assert possible_modes(10, ModeRules(chat_auth=True)) == {ChatMode.SESSION}
    assert possible_modes(10, ModeRules(standalone_auth=1, has_msrp=False)) == {ChatMode.PAGER}
    assert possible_modes(10, ModeRules(standalone_auth=2)) == frozenset()


@pytest.mark.parametrize("kind", [ContentKind.REACTION, ContentKind.EDIT, ContentKind.RECALL, ContentKind.TYPING])
def test_reactions_and_edits_never_become_sms_l13(kind: ContentKind) -> None:
    assert not may_fall_back(kind, is_group=False, is_encrypted=False, sms_parts=1, max_sms_parts=10)


def test_encrypted_and_group_content_never_becomes_sms_l06() -> None:
    assert may_fall_back(ContentKind.TEXT, is_group=False, is_encrypted=False, sms_parts=1, max_sms_parts=10)
    assert not may_fall_back(ContentKind.TEXT, is_group=False, is_encrypted=True, sms_parts=1, max_sms_parts=10)
    assert not may_fall_back(ContentKind.TEXT, is_group=True, is_encrypted=False, sms_parts=1, max_sms_parts=10)
    assert not may_fall_back(ContentKind.TEXT, is_group=False, is_encrypted=False, sms_parts=11, max_sms_parts=10)

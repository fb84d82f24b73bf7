from __future__ import annotations

import pytest

from rcs_sim.client.chat_mode import ChatMode, ContentKind, choose_mode, may_fall_back


def test_below_the_switchover_size_it_is_pager_mode_p01() -> None:
    decision = choose_mode(cpim_octets=1299, switchover_octets=1300, standalone_auth=1, chat_auth=True)
    assert decision.mode is ChatMode.PAGER
    assert decision.is_available


def test_at_the_switchover_size_a_session_is_chosen_and_said_to_be_unavailable_p01() -> None:
    decision = choose_mode(cpim_octets=1300, switchover_octets=1300, standalone_auth=1, chat_auth=True)
    assert decision.mode is ChatMode.SESSION
    assert not decision.is_available
    assert "session" in decision.unavailable


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
    decision = choose_mode(
        cpim_octets=octets, switchover_octets=1300, standalone_auth=standalone, chat_auth=chat, has_session=session
    )
    assert decision.mode is mode


@pytest.mark.parametrize("kind", [ContentKind.REACTION, ContentKind.EDIT, ContentKind.RECALL, ContentKind.TYPING])
def test_reactions_and_edits_never_become_sms_l13(kind: ContentKind) -> None:
    assert not may_fall_back(kind, is_group=False, is_encrypted=False, sms_parts=1, max_sms_parts=10)


def test_encrypted_and_group_content_never_becomes_sms_l06() -> None:
    assert may_fall_back(ContentKind.TEXT, is_group=False, is_encrypted=False, sms_parts=1, max_sms_parts=10)
    assert not may_fall_back(ContentKind.TEXT, is_group=False, is_encrypted=True, sms_parts=1, max_sms_parts=10)
    assert not may_fall_back(ContentKind.TEXT, is_group=True, is_encrypted=False, sms_parts=1, max_sms_parts=10)
    assert not may_fall_back(ContentKind.TEXT, is_group=False, is_encrypted=False, sms_parts=11, max_sms_parts=10)

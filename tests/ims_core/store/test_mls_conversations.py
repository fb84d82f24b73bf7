"""Records of a focus: keys that sort."""

from __future__ import annotations

from ims_core.store.mls_conversations import MLS_CONTROL_MESSAGES, StoredControlMessage, control_message_key


def test_entries_of_a_conversation_sort_by_number() -> None:
    keys = [control_message_key("1 2", number) for number in (1, 9, 10, 100)]
    assert keys == sorted(keys)
    entry = StoredControlMessage("1 2", 7, "id", b"", 1, 1, bytes(32), 0)
    assert MLS_CONTROL_MESSAGES.key(entry) == control_message_key("1 2", 7)

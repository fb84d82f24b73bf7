"""A message that passes, as a focus sees it."""

from __future__ import annotations

from rcs_sim.server.pager_content import read_content
from rcs_sim.server.passing_message import PassingMessage
from rcs_sim.server.served_users import ServedUser
from tests.rcs_sim.server.messaging_lab import BOB, C1, CAROL, cpim

_USER = ServedUser(f"tel:{BOB}", f"tel:{BOB}", frozenset())


def test_its_conversation_is_named_by_a_header_of_the_session() -> None:
    content = read_content("message/cpim", cpim())
    ids = (("Contribution-ID", "k"), ("Conversation-ID", C1))
    assert PassingMessage(_USER, f"tel:{CAROL}", content, True, ids).conversation_id == C1
    assert PassingMessage(_USER, f"tel:{CAROL}", content, True).conversation_id == ""

from __future__ import annotations

from rcs_sim.server.session_case import SessionCase, SessionPart
from rcs_sim.server.session_part import Sessions


def test_sessions_are_a_session_part() -> None:
    part: type[SessionPart] = Sessions
    assert part is Sessions
    assert len(SessionCase) == 2

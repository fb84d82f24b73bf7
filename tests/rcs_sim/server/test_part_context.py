from __future__ import annotations

from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.part_context import with_user
from tests.rcs_sim.server.messaging_lab import BLUE, Lab


def test_routes_of_the_own_s_cscf_tell_what_they_are_for() -> None:
    context = Lab().core.context
    assert context.terminating_route == f"<sip:term@scscf.{BLUE};lr>"
    assert context.originating_route == f"<sip:orig@scscf.{BLUE};lr>"
    assert with_user("sip:x@127.0.2.12:5060;lr", "term") == "sip:term@127.0.2.12:5060;lr"


def test_a_refusal_says_why_in_one_printable_line() -> None:
    lab = Lab()
    lab.core.context.refuse(Exchange(1), 400, 'bad\r\n"thing"' + "x" * 500)
    lab.run(lab.core.context.outbox.take(lab.now))
    (warning,) = lab.answers[Exchange(1)].headers
    assert str(warning).startswith('399 blue.messaging_server "bad  \\"thing\\"x')
    assert len(str(warning)) < 250

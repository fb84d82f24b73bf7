from __future__ import annotations

from rcs_sim.server.served_users import ServedUser
from rcs_sim.server.session_parties import SessionParties
from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, BOB, C1, K1, RED, Lab, cpim, message, sip

USER = ServedUser(f"tel:{BOB}", sip(BOB, BLUE), frozenset())


def test_of_a_session_to_the_user_the_other_is_who_was_asserted() -> None:
    parties = SessionParties.calling(USER, message())
    assert parties is not None
    assert str(parties.peer) == f"tel:{ALICE}"
    assert parties.pair == (f"tel:{BOB}", f"tel:{ALICE}")
    assert parties.ids == (("Conversation-ID", C1), ("Contribution-ID", K1))


def test_of_a_session_by_the_user_the_other_is_who_was_called() -> None:
    parties = SessionParties.called_by(USER, message(sender=BOB, recipient=ALICE, case="orig"))
    assert parties.pair == (f"tel:{BOB}", f"tel:{ALICE}")


def test_a_message_to_the_user_is_in_the_name_of_the_other() -> None:
    parties = SessionParties.calling(USER, message())
    assert parties is not None
    request = parties.to_user("message/cpim", cpim(), Lab().core.context)
    assert request.request_uri_text == sip(BOB, BLUE)
    assert request.texts("P-Asserted-Identity") == (f"<{sip(ALICE, RED)}>", f"<tel:{ALICE}>")
    assert request.text("Contribution-ID") == K1
    assert request.body == cpim()


def test_a_message_of_the_user_goes_through_his_originating_services() -> None:
    parties = SessionParties.calling(USER, message())
    assert parties is not None
    request = parties.from_user("message/cpim", cpim(), Lab().core.context)
    assert request.request_uri_text == f"tel:{ALICE}"
    assert request.text("Route") == f"<sip:orig@scscf.{BLUE};lr>"
    assert "sescase=orig" in (request.text("P-Served-User") or "")


def test_nobody_is_the_other_party_of_what_names_nobody() -> None:
    request = message().edit().remove("P-Asserted-Identity").set("From", "<<<").done()
    assert SessionParties.calling(USER, request) is None

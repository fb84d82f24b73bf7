"""Digest §15.5, the other rows: REGISTER, INVITE, events, REFER, errors, session case, blocked input."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.store.record_table import StoreError
from rcs_sim.server.messaging_actions import Exchange
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    CAROL,
    CONFIG,
    PHONE,
    Directory,
    Lab,
    UeBinding,
    cpim,
    gruu,
    message,
    third_party_register,
)


class TestRegister:
    def test_it_is_stored_then_200(self) -> None:
        lab = Lab()
        assert lab.status_of(third_party_register(UeBinding())) == 200
        assert lab.timeline == ["persist registered_devices", "answer 200"]

    def test_it_is_200_always(self) -> None:
        assert Lab(sh=Directory(BLUE, [CAROL])).status_of(third_party_register(UeBinding())) == 200
        assert Lab(store_error=StoreError("disk full")).status_of(third_party_register(UeBinding())) == 200
        bad = (
            third_party_register(UeBinding()).edit().body(b"--3pb\r\nrubbish", 'multipart/mixed;boundary="3pb"').done()
        )
        assert Lab().status_of(bad) == 200

    def test_expires_0_means_that_the_user_is_gone(self) -> None:
        lab = Lab()
        lab.register()
        lab.deregister()
        assert lab.status_of(message()) == 202

    def test_a_registration_ends_by_its_own_expiry(self) -> None:
        lab = Lab()
        lab.register(UeBinding(expires=100))
        lab.advance(101)
        assert lab.status_of(message()) == 202

    def test_without_embedded_messages_somebody_is_registered(self) -> None:
        lab = Lab()
        lab.ask(third_party_register(embedded=False))
        lab.receive(message())
        assert lab.take_one().request.request_uri_text == f"sip:{BOB}@{BLUE}"


class TestMissedRegister:
    """The server was down while the user refreshed his registration."""

    def missed(self) -> Lab:
        lab = Lab()
        lab.register(UeBinding(expires=100))
        lab.advance(101)
        assert lab.status_of(message()) == 202
        assert lab.take() == []
        return lab

    def test_what_the_user_sends_shows_that_he_is_registered(self) -> None:
        lab = self.missed()
        lab.receive(message(sender=BOB, recipient=CAROL, case="orig", domain=BLUE))
        handed_out = [each.request.request_uri_text for each in lab.take()]
        assert handed_out == [gruu(PHONE), f"tel:{CAROL}"]

    def test_of_a_user_that_was_never_heard_of_somebody_is_registered(self) -> None:
        lab = Lab()
        lab.receive(message(sender=BOB, recipient=CAROL, case="orig", domain=BLUE))
        lab.take()
        lab.receive(message())
        assert lab.take_one().request.request_uri_text == f"sip:{BOB}@{BLUE}"

    def test_what_is_sent_for_an_unregistered_user_shows_nothing(self) -> None:
        lab = self.missed()
        request = message(sender=BOB, recipient=CAROL, case="orig", domain=BLUE)
        unregistered = f"<tel:{BOB}>;sescase=orig;regstate=unreg"
        lab.receive(request.edit().set("P-Served-User", unregistered).done())
        assert [each.request.request_uri_text for each in lab.take()] == [f"tel:{CAROL}"]

    def test_the_next_report_corrects_it(self) -> None:
        lab = self.missed()
        lab.receive(message(sender=BOB, recipient=CAROL, case="orig", domain=BLUE))
        lab.deregister()
        lab.take()
        assert lab.status_of(message(cpim(message_id="another"))) == 202


class TestSessions:
    """Without an anchor there are no sessions: a clean final answer that sends the client to pager mode."""

    def invite(self, case: str = "term", contact: str = "<sip:x@y>") -> int | None:
        people = {"sender": BOB, "recipient": ALICE} if case == "orig" else {}
        return self.lab.status_of(
            message(b"v=0", method="INVITE", case=case, headers=(("Contact", contact),), **people)
        )

    def setup_method(self) -> None:
        self.lab = Lab()

    def test_originating_is_488_with_a_warning(self) -> None:
        assert self.invite("orig") == 488
        assert "no sessions" in str(self.lab.answers[Exchange(1)].headers[0])

    def test_terminating_is_480_when_nobody_is_registered_else_488(self) -> None:
        assert self.invite() == 480
        self.lab.register()
        assert self.invite() == 488

    def test_a_group_invitation_is_480_so_that_the_focus_stores(self) -> None:
        self.lab.register()
        assert self.invite(contact="<sip:grp-1@focus>;isfocus") == 480

    @pytest.mark.parametrize("method", ["BYE", "UPDATE", "PRACK", "INFO", "CANCEL"])
    def test_a_dialog_that_is_not_there_is_481(self, method: str) -> None:
        assert self.lab.status_of(message(b"", method=method)) == 481


@pytest.mark.parametrize("case", ["orig", "term"])
@pytest.mark.parametrize(
    ("method", "status"), [("SUBSCRIBE", 489), ("NOTIFY", 489), ("PUBLISH", 489), ("REFER", 403), ("XYZZY", 405)]
)
def test_what_is_not_served(method: str, status: int, case: str) -> None:
    assert Lab().status_of(message(b"", method=method, case=case)) == status


def test_what_a_uas_looks_at_first() -> None:
    lab = Lab()
    assert lab.status_of(message().edit().set("Max-Forwards", "0").done()) == 483
    assert lab.status_of(message(target="http://example.org")) == 416
    assert lab.status_of(message(target="sip:")) == 400
    extension = lab.ask(message(headers=(("Require", "100rel, foo"),)))
    assert extension is not None
    assert extension.status == 420
    assert ("Unsupported", "100rel, foo") in extension.headers
    assert lab.status_of(message().edit().set("P-Asserted-Identity", "rubbish").done()) == 400


class TestSessionCase:
    def test_p_served_user_says_it(self) -> None:
        lab = Lab()
        lab.receive(message(sender=BOB, recipient=CAROL, case="orig"))
        assert lab.take_one().request.request_uri_text == f"tel:{CAROL}"
        assert lab.status_of(message(sender=BOB, recipient=CAROL, case="term")) == 202

    def test_without_it_the_identities_do(self) -> None:
        lab = Lab()
        assert lab.status_of(message().edit().remove("P-Served-User").done()) == 202
        lab.receive(message(sender=BOB, recipient=ALICE, case="orig").edit().remove("P-Served-User").done())
        assert lab.take_one().request.request_uri_text == f"tel:{ALICE}"


def test_a_user_is_one_whichever_identity_a_request_names() -> None:
    lab = Lab()
    lab.register()
    for number, target in enumerate((f"tel:{BOB}", f"sip:{BOB}@{BLUE}", f"sip:{BOB}@{BLUE};user=phone", gruu(PHONE))):
        request = message(target=target).edit().set("P-Served-User", f"<{target}>;sescase=term").done()
        lab.receive(request.edit().body(request.body.replace(b"0001\r", b"000%d\r" % (number + 2))).done())
        assert lab.take_one().request.request_uri_text == gruu(PHONE)


def test_what_has_ended_is_not_remembered_by_its_deadlines() -> None:
    lab = Lab(config=replace(CONFIG, duplicate_memory_size=10))
    lab.register()
    for number in range(3000):
        request = message(sender=BOB, recipient=ALICE, case="orig")
        lab.receive(request)
        lab.answer(lab.take_one())
        lab.answers.clear()
        lab.now += 0.001 * (number % 2)
    assert len(lab.core.context.deadlines) < 300

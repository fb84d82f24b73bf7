"""Interworking to SMS (digest §19.8), the decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.message_reference import ReferenceType
from tests.rcs_sim.server.messaging_lab import ALICE, BOB, CONFIG, M1, RED, Lab, UeBinding, about, cpim, message, sip

ON = replace(CONFIG, has_interworking=True)
WISHES = ("positive-delivery", "interworking")


def lab() -> Lab:
    return Lab(config=ON)


def receipt(made: Lab) -> Imdn:
    return Imdn.parse(CpimMessage.parse(made.take_one().request.body).body)


def test_a_text_for_a_user_without_any_rcs_device_leaves_as_sms_and_the_sender_learns_it() -> None:
    made = lab()
    exchange = made.receive(message(cpim("héllo", wishes=WISHES)))
    (text,) = made.texts
    assert (text.originator, text.recipient, text.text, text.wants_report) == (ALICE, BOB, "héllo", True)
    assert exchange not in made.answers
    made.run(made.core.handle_submission(text.submission, True, made.now))
    assert made.answers[exchange].status == 202
    assert receipt(made) == Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.INTERWORKING, ImdnStatus.LEGACY_SMS)
    made.run(made.core.handle_report(text.submission, True, made.now))
    assert receipt(made).status == ImdnStatus.DELIVERED
    assert made.stored_messages() == 0


def test_without_the_wish_there_is_no_interworking_receipt_and_a_failed_report_is_told() -> None:
    made = lab()
    made.receive(message(cpim(wishes=("positive-delivery",))))
    submission = made.texts[0].submission
    made.run(made.core.handle_submission(submission, True, made.now))
    assert made.take() == []
    made.run(made.core.handle_report(submission, False, made.now))
    assert receipt(made).status == ImdnStatus.FAILED
    made.run(made.core.handle_report(submission, True, made.now))  # a second report says nothing more
    assert made.take() == []


def test_what_the_smsc_does_not_take_is_stored() -> None:
    made = lab()
    exchange = made.receive(message())
    made.run(made.core.handle_submission(made.texts[0].submission, False, made.now))
    assert made.answers[exchange].status == 202
    assert made.stored_messages() == 1


def test_a_user_with_a_known_device_is_waited_for() -> None:
    made = lab()
    made.register()
    made.deregister()
    assert made.status_of(message()) == 202
    assert made.texts == []
    assert made.stored_messages() == 1


def test_a_device_that_is_known_to_lack_rcs_does_not_count() -> None:
    made = lab()
    made.register(UeBinding(tags=";+g.3gpp.smsip"))
    made.receive(message())
    assert len(made.texts) == 1


@pytest.mark.parametrize(
    "body",
    [
        cpim("{}", content_type="application/vnd.gsma.rcs-ft-http+xml"),
        cpim("xx", content_type="message/mls"),
        cpim("x" * 1600),
    ],
)
def test_only_plain_text_of_ten_parts_is_interworked(body: bytes) -> None:
    made = lab()
    made.receive(message(body))
    assert made.texts == []
    assert made.stored_messages() == 1


_CHANGES = [ReferenceType.ADD_REACTION, ReferenceType.REMOVE_REACTION, ReferenceType.EDIT, ReferenceType.RECALL]


@pytest.mark.parametrize("kind", _CHANGES)
def test_l13_no_short_message_is_made_of_a_reaction_an_edit_or_a_recall_and_the_sender_is_told(
    kind: ReferenceType,
) -> None:
    made = lab()
    assert made.status_of(message(cpim("👍", "m2", about=about(kind)))) == 404
    assert (made.texts, made.stored_messages()) == ([], 0)


@pytest.mark.parametrize("kind", _CHANGES)
def test_they_wait_for_a_device_that_is_known(kind: ReferenceType) -> None:
    made = lab()
    made.register()
    made.deregister()
    assert made.status_of(message(cpim("👍", "m2", about=about(kind)))) == 202
    assert (made.texts, made.stored_messages()) == ([], 1)


def test_an_answer_is_a_text_like_any() -> None:
    made = lab()
    made.receive(message(cpim("yes", "m2", about=about(ReferenceType.REPLY))))
    assert [text.text for text in made.texts] == ["yes"]


def test_a_group_is_not_interworked() -> None:
    made = Lab(config=replace(ON, focus_hosts=(f"focus.{RED}",)))
    group = message().edit().set("P-Asserted-Identity", f"<{sip(ALICE, f'focus.{RED}')};user=phone>").done()
    made.receive(group)
    assert made.texts == []


def test_it_is_off_by_default() -> None:
    made = Lab()
    made.receive(message())
    assert made.texts == []


class TestOriginating:
    """The number is nobody's RCS user: the sender's server interworks."""

    @pytest.mark.parametrize("status", [404, 405])
    def test_the_text_leaves_as_sms_and_the_receipts_go_to_the_own_user(self, status: int) -> None:
        made = lab()
        made.register()
        exchange = made.receive(message(cpim(wishes=WISHES), sender=BOB, recipient="+12025550177", case="orig"))
        made.answer(made.take_one(), status)
        (text,) = made.texts
        assert (text.originator, text.recipient) == (BOB, "+12025550177")
        made.run(made.core.handle_submission(text.submission, True, made.now))
        assert made.answers[exchange].status == 202
        delivered = made.take_one().request
        assert delivered.text("P-Asserted-Identity") == "<tel:+12025550177>"
        assert (
            delivered.text(
                "Route",
            )
            == "<sip:term@scscf.ims.mnc002.mcc001.3gppnetwork.org;lr>"
        )

    def test_a_text_that_cannot_go_gets_the_answer_of_the_other_side(self) -> None:
        made = lab()
        exchange = made.receive(message(sender=BOB, recipient="+12025550177", case="orig"))
        made.answer(made.take_one(), 404)
        made.run(made.core.handle_submission(made.texts[0].submission, False, made.now))
        assert made.answers[exchange].status == 404

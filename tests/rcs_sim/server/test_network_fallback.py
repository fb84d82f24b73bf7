"""Network fallback for RCS users (digest §8.1, §8.4): when, whether the sender may still revoke, what is never sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.store.record_table import StoreError
from rcs_sim.server.messaging_actions import SubmitText
from rcs_sim.server.messaging_config import OfflineOptions
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.message_reference import ReferenceType
from rcs_sim.wire.revocation import RevokeResponse, parse_revocation
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BOB,
    CONFIG,
    ICSI,
    M1,
    PHONE,
    TABLET,
    Lab,
    UeBinding,
    about,
    cpim,
    imdn_cpim,
    message,
    revoke_cpim,
)

WAIT_S = 20.0
FALLS_BACK = replace(CONFIG, has_interworking=True, interworking_after_s=WAIT_S)
ONLY_WITHOUT_RCS = replace(CONFIG, has_interworking=True, interworking_after_s=0)
WISHES = ("positive-delivery", "interworking")


def lab_with_absent_bob(**changes: object) -> Lab:
    lab = Lab(config=replace(FALLS_BACK, **changes))
    lab.register()
    lab.deregister()
    return lab


def submitted(lab: Lab, is_accepted: bool = True) -> SubmitText:
    (text,) = lab.texts
    lab.texts.clear()
    lab.run(lab.core.handle_submission(text.submission, is_accepted, lab.now))
    return text


def receipt(lab: Lab) -> Imdn:
    return Imdn.parse(CpimMessage.parse(lab.take_one().request.body).body)


def test_a_text_that_no_device_takes_in_time_leaves_as_sms_and_its_sender_learns_it() -> None:
    lab = lab_with_absent_bob()
    assert lab.status_of(message(cpim("héllo", wishes=WISHES))) == 202
    lab.advance(WAIT_S - 1)
    assert (lab.texts, lab.stored_messages()) == ([], 1)
    lab.advance(1)
    text = submitted(lab)
    assert (text.originator, text.recipient, text.text) == (ALICE, BOB, "héllo")
    assert lab.stored_messages() == 0
    assert receipt(lab).kind is ImdnKind.INTERWORKING
    lab.run(lab.core.handle_report(text.submission, True, lab.now))
    assert receipt(lab).status == ImdnStatus.DELIVERED
    lab.register()
    assert lab.take() == []


def test_it_stays_stored_until_the_smsc_has_it_so_that_a_crash_loses_nothing() -> None:
    lab = lab_with_absent_bob()
    lab.receive(message())
    lab.advance(WAIT_S)
    assert (len(lab.texts), lab.stored_messages()) == (1, 1)
    again = lab.restarted()
    again.advance(WAIT_S)
    assert len(again.texts) == 1


def test_while_it_leaves_no_device_is_handed_it_and_a_refusal_of_the_smsc_gives_it_back() -> None:
    lab = lab_with_absent_bob()
    lab.receive(message())
    lab.advance(WAIT_S)
    lab.register()
    assert lab.take() == []
    submitted(lab, is_accepted=False)
    lab.answer(lab.take_one())
    lab.advance(10 * WAIT_S)
    assert lab.texts == []


def test_what_the_smsc_refuses_is_tried_again_as_long_as_nobody_is_there() -> None:
    lab = lab_with_absent_bob()
    lab.receive(message())
    lab.advance(WAIT_S)
    submitted(lab, is_accepted=False)
    assert lab.stored_messages() == 1
    lab.advance(WAIT_S)
    submitted(lab)
    assert lab.stored_messages() == 0


def test_who_is_back_in_time_gets_it_by_rcs_alone() -> None:
    lab = lab_with_absent_bob()
    lab.receive(message())
    lab.advance(WAIT_S - 1)
    lab.register()
    lab.answer(lab.take_one())
    lab.advance(10 * WAIT_S)
    assert lab.texts == []


@pytest.mark.parametrize(("status", "texts"), [(200, 0), (480, 1)])
def test_while_a_copy_is_on_its_way_its_answer_decides(status: int, texts: int) -> None:
    lab = lab_with_absent_bob()
    lab.receive(message())
    lab.advance(WAIT_S - 1)
    lab.register()
    copy = lab.take_one()
    lab.advance(2)
    assert lab.texts == []
    lab.answer(copy, status)
    assert len(lab.texts) == texts


def test_a_receipt_of_the_device_means_that_it_has_it() -> None:
    lab = lab_with_absent_bob()
    lab.receive(message())
    told = imdn_cpim(Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
    lab.receive(message(told, sender=BOB, recipient=ALICE, case="orig"))
    lab.advance(WAIT_S)
    assert lab.texts == []


def test_a_copy_for_another_device_is_no_undelivered_message() -> None:
    lab = Lab(config=FALLS_BACK)
    lab.register(UeBinding(), UeBinding(instance=TABLET, host="192.0.2.13"), by=UeBinding())
    lab.receive(message())
    phone, tablet = lab.take()
    lab.answer(phone)
    lab.answer(tablet, 480)
    lab.advance(10 * WAIT_S)
    assert lab.texts == []
    assert PHONE != TABLET


@pytest.mark.parametrize(
    "body",
    [
        cpim("xx", content_type="message/mls"),
        cpim("{}", content_type="application/vnd.gsma.rcs-ft-http+xml"),
        cpim("x" * 1600),
        imdn_cpim(Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED)),
    ],
    ids=["encrypted", "no text", "too long", "a receipt"],
)
def test_what_is_no_text_for_an_sms_stays_and_comes_by_rcs(body: bytes) -> None:
    lab = lab_with_absent_bob()
    lab.receive(message(body))
    stored = lab.stored_messages()
    lab.advance(10 * WAIT_S)
    assert (lab.texts, lab.stored_messages()) == ([], stored)


@pytest.mark.parametrize(("is_accepted", "is_revoked"), [(True, False), (False, True)])
def test_a_revocation_is_answered_when_the_smsc_has_said_what_became_of_it(is_accepted: bool, is_revoked: bool) -> None:
    """Both the network and the phone would send it otherwise."""
    lab = lab_with_absent_bob()
    lab.receive(message(cpim(wishes=("positive-delivery",))))
    lab.advance(WAIT_S)
    assert lab.status_of(message(revoke_cpim(), service=f"{ICSI}.systemmsg")) == 200
    assert lab.take() == []
    submitted(lab, is_accepted)
    document = parse_revocation(CpimMessage.parse(lab.take_one().request.body).body)
    assert isinstance(document, RevokeResponse)
    assert document.is_revoked is is_revoked
    lab.advance(10 * WAIT_S)
    assert lab.texts == []


def test_what_expires_meanwhile_is_not_removed_twice() -> None:
    lab = lab_with_absent_bob(store_days=WAIT_S / 86400 + 1e-6)
    lab.receive(message())
    lab.advance(WAIT_S)
    lab.advance(1)
    assert lab.stored_messages() == 0
    submitted(lab, is_accepted=False)
    lab.advance(10 * WAIT_S)
    assert lab.texts == []


def test_a_store_that_fails_leaves_nothing_to_fall_back_with() -> None:
    lab = lab_with_absent_bob()
    lab.store_error = StoreError("broken")
    assert lab.status_of(message()) == 503
    lab.advance(WAIT_S)
    assert lab.texts == []


@pytest.mark.parametrize(("is_accepted", "status"), [(True, 202), (False, 480)])
def test_a_network_that_stores_nothing_falls_back_at_once(is_accepted: bool, status: int) -> None:
    lab = lab_with_absent_bob(has_store_and_forward=False)
    exchange = lab.receive(message(cpim(wishes=WISHES)))
    assert exchange not in lab.answers
    submitted(lab, is_accepted)
    assert lab.answers[exchange].status == status


def test_a_network_that_stores_nothing_refuses_what_is_no_text() -> None:
    lab = lab_with_absent_bob(has_store_and_forward=False)
    assert lab.status_of(message(cpim("xx", content_type="message/mls"))) == 480


def test_a_network_without_that_policy_leaves_rcs_users_to_the_phone_of_the_sender() -> None:
    lab = Lab(config=ONLY_WITHOUT_RCS)
    lab.register()
    lab.deregister()
    assert lab.status_of(message()) == 202
    lab.advance(100 * WAIT_S)
    assert (lab.texts, lab.stored_messages()) == ([], 1)


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(("config", "announces"), [(FALLS_BACK, True), (ONLY_WITHOUT_RCS, False), (CONFIG, False)])
def test_who_asks_what_a_user_can_do_is_told_that_his_network_falls_back(
    config: object, announces: bool, is_there: bool
) -> None:
    lab = Lab(config=replace(config, offline_options=OfflineOptions.AUTOMATA))
    lab.register()
    if not is_there:
        lab.deregister()
    exchange = lab.receive(message(b"", method="OPTIONS", content_type=""))
    for query in lab.take():
        lab.answer(query, 200, [("Contact", f"<sip:bob@192.0.2.12>{UeBinding().tags}")])
    contact = next(str(value) for name, value in _pairs(lab.answers[exchange].headers) if name == "Contact")
    assert ("+g.gsma.rcs.msgfallback" in contact) is announces
    assert "+g.gsma.rcs.msgrevoke" in contact


def _pairs(headers: object) -> list[tuple[str, object]]:
    found = []
    for header in headers:
        found.append(header if isinstance(header, tuple) else (type(header).__name__, header))
    return found


def test_l13_a_reaction_that_waits_for_a_device_never_leaves_as_sms() -> None:
    lab = lab_with_absent_bob()
    assert lab.status_of(message(cpim("👍", "m2", about=about(ReferenceType.ADD_REACTION)))) == 202
    lab.advance(10 * WAIT_S)
    assert (lab.texts, lab.stored_messages()) == ([], 1)


def test_what_its_sender_has_recalled_meanwhile_stays_where_it_is() -> None:
    lab = lab_with_absent_bob()
    assert lab.status_of(message(cpim("never said", M1))) == 202
    assert lab.status_of(message(cpim("said", "m2"))) == 202
    assert lab.status_of(message(cpim("", "m3", about=about(ReferenceType.RECALL, M1)))) == 202
    assert lab.status_of(message(cpim("Recall m2", "m4", about=about(ReferenceType.REPLY, "m2")))) == 202
    lab.advance(10 * WAIT_S)
    assert [text.text for text in lab.texts] == ["said", "Recall m2"]
    assert lab.stored_messages() >= 2

"""The messaging server as focus of one-to-one conversations (§14.1, §14.4, §14.6): what it takes, answers, fans out,
stores and lets pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.store.record_table import StoreError
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.server.focus_network import FOCUS_CONFIG, HOST, ZOE, FocusLab, Said, sent_by
from tests.rcs_sim.server.messaging_lab import (
    BOB,
    CAROL,
    PHONE,
    TABLET,
    UeBinding,
    gruu,
    imdn_cpim,
    message,
    third_party_register,
)
from tests.support.focus_devices import FocusDevice

REFUSED = "message/imdn+xml"
SERVER = "message/mls-rcs-server"


def bob() -> FocusDevice:
    return FocusDevice(BOB[1:])


def carol() -> FocusDevice:
    return FocusDevice(CAROL[1:], vendor_id=1)


def zoe() -> FocusDevice:
    return FocusDevice(ZOE[1:], vendor_id=1)


def lab_of(**rules: object) -> FocusLab:
    lab = FocusLab(config=replace(FOCUS_CONFIG, mls_rules=MlsFocusRules(**rules)))
    lab.registered()
    return lab


def created(lab: FocusLab, device: FocusDevice, other: FocusDevice, control_id: str = "create") -> list[Said]:
    request = device.create(control_id, [other])
    answer = lab.request(device, f"+{other.digits}", control_id, request)
    assert answer is not None
    assert answer.status == 200
    device.adopt()
    said = lab.told()
    other.receive(next(each.arm for each in said if each.cpim.message_id == control_id))
    return said


def test_a_create_is_answered_fanned_out_and_converges() -> None:
    lab, one, other = lab_of(), bob(), carol()
    said = created(lab, one, other)
    accepted, bundle, converged = said
    assert [each.to for each in said] == [gruu(PHONE, BOB), gruu(PHONE, CAROL), gruu(PHONE, BOB)]
    assert accepted.arm == AcceptedMessage("create", one.state, converged=False)
    assert converged.arm == AcceptedMessage("create", one.state, converged=True)
    assert isinstance(bundle.arm, CommitBundle)
    assert bundle.cpim.message_id == "create"
    assert accepted.headers.in_reply_to == converged.headers.in_reply_to == "create"
    assert accepted.asserted == f"<tel:{CAROL}>"  # in the conversation
    assert bundle.asserted == f"<tel:{BOB}>"
    assert other.state == one.state


def test_the_peer_never_gets_the_request_itself() -> None:
    lab, one, other = lab_of(), bob(), carol()
    assert all(each.kind == SERVER for each in created(lab, one, other))


def test_a_server_without_the_lower_number_forwards() -> None:
    lab, one = lab_of(), carol()  # Carol writes to a lower number of another carrier
    lower = "+12025550101"
    assert lab.ask(sent_by(one, lower, "create", b"whatever", "message/mls-rcs-client", case="orig")) is None
    (onward,) = lab.take()
    assert onward.request.request_uri_text == f"tel:{lower}"
    assert lab.core.focus is not None
    assert lab.core.focus.conversation(CAROL[1:], lower[1:]) is None


def test_a_request_of_the_other_carriers_user_is_taken_at_the_terminating_side() -> None:
    lab, one, other = lab_of(), zoe(), bob()
    said = created(lab, one, other)
    assert {each.to for each in said} == {f"tel:{ZOE}", gruu(PHONE, BOB)}
    for each in said:
        if each.to == f"tel:{ZOE}":
            served = each.sent.request.text("P-Served-User")
            assert served == "<sip:blue.messaging_server@ims.mnc002.mcc001.3gppnetwork.org>;sescase=orig;regstate=reg"
            assert each.asserted == f"<{'sip:' + BOB + '@ims.mnc002.mcc001.3gppnetwork.org'}>"
            assert each.sent.request.texts("P-Asserted-Identity")[1] == f"<tel:{BOB}>"
    assert other.state == one.state
    # the requester's own number gets a copy too, for his other devices: who asked knows his id
    assert [each.cpim.message_id for each in said].count("create") == 2


def test_a_refusal_is_a_notification_with_reason_detail_and_state() -> None:
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    second = carol().create("second", [bob()])
    lab.request(other, BOB, "second", second)
    (refusal,) = lab.told()
    assert (refusal.kind, refusal.reason) == (REFUSED, "incorrect-era")
    headers = refusal.headers
    assert (headers.detail, headers.server_era, headers.server_epoch) == ("held", 1, 1)
    assert headers.server_epoch_authenticator == one.state.epoch_authenticator
    assert headers.group_id == one.group.group_id.decode()
    assert refusal.to == gruu(PHONE, CAROL)
    assert any(note.summary == "focus refused" and "check 4" in note.reason for note in lab.notes)


def test_the_requesters_other_device_gets_the_bundle_and_the_asking_one_does_not() -> None:
    lab, one, other = lab_of(), bob(), carol()
    tablet = UeBinding(TABLET, host="192.0.2.13")
    lab.receive(third_party_register(UeBinding(host=HOST), tablet, by=tablet, number=BOB))
    said = created(lab, one, other)
    bundles = [each.to for each in said if each.cpim.message_id == "create"]
    assert sorted(bundles) == sorted([gruu(TABLET, BOB), gruu(PHONE, CAROL)])
    copy = next(each for each in said if each.to == gruu(TABLET, BOB))
    assert copy.asserted == f"<tel:{CAROL}>"
    assert copy.cpim.sender is not None
    assert copy.cpim.sender.uri == f"tel:{BOB}"  # who asked
    answers = [each.to for each in said if each.cpim.message_id != "create"]
    assert answers == [gruu(PHONE, BOB)] * 2


def test_a_bundle_waits_for_a_device_that_is_away_and_counts_as_acknowledged() -> None:
    lab = FocusLab()
    lab.registered(BOB)
    one, other = bob(), carol()
    lab.request(one, CAROL, "create", one.create("create", [other]))
    one.adopt()
    said = lab.told()
    assert [each.to for each in said] == [gruu(PHONE, BOB)] * 2
    assert isinstance(said[1].arm, AcceptedMessage)
    assert said[1].arm.converged
    assert lab.stored_messages() == 1
    lab.registered(CAROL)
    (bundle,) = lab.told()
    assert isinstance(bundle.arm, CommitBundle)
    other.receive(bundle.arm)
    assert other.state == one.state


def test_a_welcome_of_a_newer_era_drops_what_waits_of_the_older_one() -> None:
    lab = FocusLab()
    lab.registered(BOB)
    one, other = bob(), carol()
    lab.request(one, CAROL, "create", one.create("create", [other]))
    one.adopt()
    lab.request(one, CAROL, "rekey", one.commit("rekey"))
    one.adopt()
    lab.application(one, CAROL, "m1")
    (onward,) = [each for each in lab.take() if each.request.request_uri_text == f"tel:{CAROL}"]
    lab.ask(message(onward.request.body, sender=BOB, recipient=CAROL, domain="ims.mnc002.mcc001.3gppnetwork.org"))
    assert lab.stored_messages() == 3
    lab.request(one, CAROL, "era", one.new_era("era", [other], one.state))
    one.adopt()
    lab.told()
    lab.registered(CAROL)
    said = lab.told()
    assert [each.cpim.message_id for each in said] == ["m1", "era"]
    arm = said[1].arm
    assert isinstance(arm, CommitBundle)
    other.receive(arm)
    assert other.state == one.state


def test_convergence_is_told_after_five_seconds_at_the_latest() -> None:
    lab, one, other = lab_of(), bob(), carol()
    lab.request(one, CAROL, "create", one.create("create", [other]))
    sent = [Said.of(each) for each in lab.take()]
    assert [each.to for each in sent] == [gruu(PHONE, BOB), gruu(PHONE, CAROL)]
    lab.advance(4.9)
    assert lab.take() == []
    lab.advance(0.2)
    (late,) = (Said.of(each) for each in lab.take())
    assert isinstance(late.arm, AcceptedMessage)
    assert late.arm.converged
    lab.answer(sent[1].sent)
    assert lab.take() == []


def test_who_asks_again_after_the_five_seconds_is_told_of_convergence_though_a_server_is_still_away() -> None:
    lab, one, other = lab_of(), bob(), zoe()
    request = one.create("create", [other])
    lab.request(one, ZOE, "create", request)
    lab.answer(lab.take()[1], 503)
    lab.advance(5.1)
    lab.told()
    lab.request(one, ZOE, "create", request)
    assert [each.arm.converged for each in lab.told() if isinstance(each.arm, AcceptedMessage)] == [False, True]


def test_nothing_is_said_before_it_is_stored() -> None:
    lab, one, other = lab_of(), bob(), carol()
    lab.holds_store = True
    lab.request(one, CAROL, "create", one.create("create", [other]))
    assert lab.take() == []
    assert [type(each).__name__ + " " + each.record_type.name for each in lab.held] == [
        "Persist mls_control_messages",
        "Persist mls_conversations",
    ]
    lab.release_store()
    assert len(lab.take()) == 2


def test_a_refusal_needs_no_store_and_is_stored_with_what_is_accepted_next() -> None:
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    lab.holds_store = True
    for number in range(200):
        lab.request(other, BOB, f"junk-{number}", b"\xff")
    assert {each.reason for each in lab.told()} == {"invalid-input"}
    assert lab.held == []
    lab.holds_store = False
    lab.request(one, CAROL, "rekey", one.commit("rekey"))
    lab.told()
    again = lab.restarted()
    again.registered()
    again.request(other, BOB, "junk-199", b"\xfe")
    assert again.told()[0].headers.detail == "message-id"


def test_requests_wait_for_each_other_in_the_order_of_arrival() -> None:
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    lab.holds_store = True
    first, second = one.commit("first"), other.commit("second")
    lab.request(one, CAROL, "first", first)
    lab.request(other, BOB, "second", second)
    assert lab.take() == []
    lab.holds_store = False
    lab.release_store()
    said = lab.told()
    assert next(each for each in said if each.kind == REFUSED).reason == "incorrect-epoch"
    assert sum(isinstance(each.arm, AcceptedMessage) for each in said if each.kind == SERVER) == 2


def test_a_store_that_fails_leaves_everything_as_it_was_and_the_same_octets_may_come_again() -> None:
    lab, one, other = lab_of(), bob(), carol()
    lab.store_error = StoreError("the disk is full")
    request = one.create("create", [other])
    lab.request(one, CAROL, "create", request)
    (refusal,) = lab.told()
    assert (refusal.reason, refusal.headers.detail) == ("transient-error", "store")
    assert lab.conversation(BOB, CAROL).live is None
    lab.store_error = None
    lab.request(one, CAROL, "create", request)
    assert len(lab.told()) == 3


def test_a_store_that_does_not_answer_is_a_transient_error_within_ten_seconds_for_each_who_waits() -> None:
    lab, one, other = lab_of(), bob(), carol()
    lab.holds_store = True
    request = one.create("create", [other])
    lab.request(one, CAROL, "create", request)
    lab.pull(other, BOB, "p1")
    lab.advance(9.9)
    told = [(each.headers.in_reply_to, each.reason) for each in lab.told()]
    assert told == [("create", "transient-error"), ("p1", "transient-error")]
    lab.pull(other, BOB, "p2")
    assert [(each.headers.in_reply_to, each.reason) for each in lab.told()] == [("p2", "transient-error")]
    lab.holds_store = False
    lab.release_store()
    one.adopt()
    (bundle,) = lab.told()  # it counts all the same; the answer is there for who asks again
    other.receive(bundle.arm)
    assert other.state == one.state
    lab.request(one, CAROL, "create", request)
    assert [type(each.arm) for each in lab.told()] == [AcceptedMessage, AcceptedMessage]
    lab.pull(other, BOB, "p1")
    assert lab.told()[0].kind == SERVER


def test_a_store_that_fails_late_says_nothing_more() -> None:
    lab, one, other = lab_of(), bob(), carol()
    lab.holds_store = True
    lab.request(one, CAROL, "create", one.create("create", [other]))
    lab.advance(9.9)
    assert len(lab.told()) == 1
    lab.holds_store, lab.store_error = False, StoreError("the disk is full")
    lab.release_store()
    assert lab.told() == []
    assert lab.conversation(BOB, CAROL).live is None


def test_a_line_of_waiting_requests_has_an_end() -> None:
    lab, one, other = lab_of(max_waiting=1), bob(), carol()
    lab.holds_store = True
    lab.request(one, CAROL, "create", one.create("create", [other]))
    for name in ("a", "b"):
        lab.request(one, CAROL, name, b"x")
    (refusal,) = (Said.of(each) for each in lab.take())
    assert (refusal.reason, refusal.headers.in_reply_to) == ("transient-error", "b")


def test_a_repeated_request_gets_the_answer_of_then_and_nothing_is_fanned_out_again() -> None:
    lab, one, other = lab_of(), bob(), carol()
    request = one.create("create", [other])
    lab.request(one, CAROL, "create", request)
    first = lab.told()
    lab.request(one, CAROL, "create", request)
    again = lab.told()
    assert [each.arm for each in again] == [first[0].arm, first[2].arm]


def test_conversations_without_a_group_are_forgotten_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcs_sim.server.mls_focus._MAX_EMPTY", 2)
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    for number in range(4):
        lab.request(one, f"+1202555019{number}", "x", b"junk")
    lab.told()
    assert lab.core.focus is not None
    known = [lab.core.focus.conversation(BOB[1:], f"1202555019{number}") is not None for number in range(4)]
    assert known == [False, False, True, True]
    assert lab.conversation(BOB, CAROL).live is not None


def test_pulls_are_answered_and_a_repeated_one_alike() -> None:
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    lab.pull(other, BOB, "p1")
    (ordinary,) = lab.told()
    assert (ordinary.kind, ordinary.to, ordinary.headers.in_reply_to) == (SERVER, gruu(PHONE, CAROL), "p1")
    lab.pull(other, BOB, "p2", other.state.encode())
    (enhanced,) = lab.told()
    assert enhanced.kind == "message/mls-rcs"
    assert MlsEnhancedGroupInfo.decode(enhanced.cpim.body).paginated == one.state
    lab.pull(other, BOB, "p2", other.state.encode())
    (again,) = lab.told()
    assert again.cpim.body == enhanced.cpim.body
    assert again.cpim.message_id != enhanced.cpim.message_id  # another device may have had the first
    lab.pull(other, BOB, "p3", b"\xff")
    assert lab.told()[0].reason == "invalid-input"


def test_an_id_belongs_to_one_request_or_pull() -> None:
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    lab.pull(other, BOB, "p1")
    assert lab.told()[0].kind == SERVER
    lab.pull(other, BOB, "p1", other.state.encode())
    (refusal,) = lab.told()
    assert (refusal.reason, refusal.headers.detail) == ("invalid-input", "message-id")
    lab.request(other, BOB, "p1", other.commit("p1"))
    assert lab.told()[0].reason == "invalid-input"
    lab.pull(one, CAROL, "create")
    assert lab.told()[0].reason == "invalid-input"
    lab.pull(one, CAROL, "p1")  # of another sender
    assert lab.told()[0].kind == SERVER


def test_a_deployed_server_throttles_reads() -> None:
    lab, one, other = lab_of(reads_per_window=10), bob(), carol()
    created(lab, one, other)
    for number in range(10):
        lab.pull(other, BOB, f"p{number}")
        assert lab.told()[0].kind == SERVER
    lab.pull(other, BOB, "p10")
    assert lab.told()[0].reason == "transient-error"
    lab.advance(201)
    lab.pull(other, BOB, "p11")
    assert lab.told()[0].kind == SERVER


def test_application_messages_pass_or_are_refused_by_their_headers() -> None:
    lab, one, other = lab_of(), bob(), carol()
    created(lab, one, other)
    assert lab.application(one, CAROL, "m1") is None
    (onward,) = lab.take()
    assert onward.request.request_uri_text == f"tel:{CAROL}"
    lab.answer(onward)
    wrong = EpochIdentifier(7, 1, one.state.epoch_authenticator)
    answer = lab.application(one, CAROL, "m2", wrong)
    assert answer is not None
    assert answer.status == 200
    (refusal,) = lab.told()
    assert (refusal.reason, refusal.to) == ("incorrect-era", gruu(PHONE, BOB))
    assert Imdn.parse(refusal.cpim.body).message_id == "m2"
    lab.application(one, CAROL, "m3", EpochIdentifier(1, 1, bytes(32)))
    assert lab.told()[0].reason == "incorrect-epoch-authenticator"


def test_an_application_message_without_headers_passes_for_its_receiver_to_drop() -> None:
    lab, one = lab_of(), bob()
    assert lab.ask(sent_by(one, CAROL, "m1", b"sealed", "message/mls")) is None
    assert len(lab.take()) == 1


def test_a_phone_does_not_speak_for_a_focus_and_another_network_may() -> None:
    lab = lab_of()
    device = carol()
    imdn = Imdn("id", "", ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason="incorrect-era")
    parts = b"".join(b"--x\r\nContent-Type: message/imdn+xml\r\n\r\n" + imdn.encode() + b"\r\n" for _ in range(2))
    aggregate = parts + b"--x--\r\n"
    foreign = imdn.encode().replace(b'encoding="UTF-8"', b'encoding="UTF-16"').decode().encode("utf-16")
    forged = (
        sent_by(device, BOB, "f5", aggregate, "multipart/mixed;boundary=x", case="orig"),
        sent_by(device, BOB, "f6", foreign, "message/imdn+xml", case="orig"),
        sent_by(device, BOB, "f1", b"\x22\x00", SERVER, case="orig"),
        sent_by(device, BOB, "f2", b"", "message/mls-rcs-server-kick", case="orig"),
        message(imdn_cpim(imdn), sender=CAROL, recipient=BOB, case="orig", call_id="f3"),
        message(imdn.encode(), sender=CAROL, recipient=BOB, case="orig", call_id="f4", content_type="message/imdn+xml"),
    )
    for request in forged:
        answer = lab.ask(request)
        assert answer is not None
        assert answer.status == 200
        assert lab.take() == []
    assert sum(note.summary == "control message discarded" for note in lab.notes) == len(forged)
    for request in (
        sent_by(zoe(), BOB, "t1", b"\x22\x00", SERVER),
        message(imdn_cpim(imdn), sender=ZOE, recipient=BOB, call_id="t2"),
    ):
        lab.receive(request)
        assert len(lab.take()) == 1


def test_ordinary_messages_and_receipts_are_not_looked_at() -> None:
    lab = lab_of()
    plain = Imdn("id", "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)
    for number, body in enumerate((None, imdn_cpim(plain))):
        lab.receive(message(body, sender=BOB, recipient=CAROL, case="orig", call_id=f"{number}"))
        assert len(lab.take()) == 1


def test_peer_to_peer_nobody_intercepts_or_discards() -> None:
    lab, one, other = lab_of(arbitrates_era=False), bob(), carol()
    for content_type in ("message/mls-rcs-client", "message/mls-rcs", SERVER, "message/mls"):
        lab.receive(sent_by(one, CAROL, content_type, b"x", content_type))
        (onward,) = lab.take()
        assert onward.request.request_uri_text == f"tel:{CAROL}"
    assert lab.core.focus is not None
    assert lab.core.focus.conversation(BOB[1:], other.digits) is None


def _lab_beside(*prefixes: str, arbitrates: bool) -> FocusLab:
    rules = MlsFocusRules(arbitrates_era=arbitrates)
    lab = FocusLab(config=replace(FOCUS_CONFIG, mls_rules=rules, numbers_without_focus=prefixes))
    lab.registered()
    return lab


def test_towards_a_lower_number_without_a_focus_a_phone_says_what_a_focus_says_and_towards_others_not() -> None:
    lower, prefix = "+12025550101", "+120255501"
    beside = _lab_beside(prefix, arbitrates=True)
    beside.receive(sent_by(bob(), lower, "b1", b"\x22\x00", SERVER, case="orig"))
    assert len(beside.take()) == 1
    own = "+1202555015"  # the numbers of blue
    for lab, peer, is_heard in (
        (_lab_beside("+1999", arbitrates=True), lower, False),
        (_lab_beside(own, arbitrates=False), lower, False),  # the server of the lower number arbitrates
        (_lab_beside(own, prefix, arbitrates=False), lower, True),
        (_lab_beside(own, arbitrates=False), ZOE, True),  # nobody does: Bob's is the lower number
        (_lab_beside(own, arbitrates=False), CAROL, True),
    ):
        lab.receive(sent_by(bob(), peer, "b2", b"\x22\x00", SERVER, case="orig"))
        assert len(lab.take()) == int(is_heard), (peer, lab.config.numbers_without_focus)


def test_a_message_between_a_number_and_a_name_has_no_focus() -> None:
    lab, one = lab_of(), bob()
    request = sent_by(one, CAROL, "g", b"x", "message/mls-rcs-client").edit()
    lab.receive(request.request_uri("sip:group-1@focus.example").done())
    assert len(lab.take()) == 1


def test_a_restart_keeps_state_answers_and_log() -> None:
    lab, one, other = lab_of(), bob(), carol()
    request = one.create("create", [other])
    lab.request(one, CAROL, "create", request)
    one.adopt()
    other.receive(lab.told()[1].arm)
    again = lab.restarted()
    again.registered()
    assert again.conversation(BOB, CAROL) is not None
    assert again.conversation(BOB, CAROL).state == one.state
    again.request(one, CAROL, "create", request)
    assert [type(each.arm) for each in again.told()] == [AcceptedMessage, AcceptedMessage]
    again.request(other, BOB, "rekey", other.commit("rekey"))
    other.adopt()
    bundle = next(each for each in again.told() if each.cpim.message_id == "rekey")
    one.receive(bundle.arm)
    again.pull(one, CAROL, "p", EpochIdentifier(1, 1, lab.conversation(BOB, CAROL).state.epoch_authenticator).encode())
    page = MlsEnhancedGroupInfo.decode(again.told()[0].cpim.body)
    assert [each.message_id for each in page.control_messages] == ["rekey"]


def test_a_fan_out_that_a_kill_interrupted_goes_out_after_the_restart() -> None:
    lab, one, other = lab_of(), bob(), carol()
    lab.request(one, CAROL, "create", one.create("create", [other]))
    one.adopt()
    lab.take()  # nobody answers: the process is killed
    again = lab.restarted()
    again.registered()
    assert again.told() == []
    again.advance(again.config.restart_wait_s + 0.1)
    said = again.told()
    bundle = next(each for each in said if each.to == gruu(PHONE, CAROL))
    other.receive(bundle.arm)
    assert other.state == one.state
    assert again.conversation(BOB, CAROL).outstanding == ()
    once_more = again.restarted()
    once_more.registered()
    once_more.advance(5)
    assert once_more.told() == []


def test_a_carrier_that_does_not_answer_is_tried_again() -> None:
    lab, one, other = lab_of(), bob(), zoe()
    lab.request(one, ZOE, "create", one.create("create", [other]))
    accepted, bundle = lab.take()
    lab.answer(accepted)
    lab.answer(bundle, 503)
    lab.advance(5.1)
    converged = lab.take_one()
    lab.answer(converged)
    lab.advance(lab.config.redeliver_min_s)
    again = lab.take_one()
    assert again.request.body == bundle.request.body
    assert again.request.call_id != bundle.request.call_id
    lab.answer(again)
    assert lab.conversation(BOB, ZOE).outstanding == ()


def test_copies_for_one_member_go_out_in_order() -> None:
    lab, one, other = lab_of(), bob(), zoe()
    lab.request(one, ZOE, "create", one.create("create", [other]))
    one.adopt()
    _, bundle = lab.take()
    lab.request(one, ZOE, "rekey", one.commit("rekey"))
    waiting = [Said.of(each).cpim.message_id for each in lab.take()]
    assert "rekey" not in waiting
    lab.answer(bundle)
    assert [Said.of(each).cpim.message_id for each in lab.take()].count("rekey") == 1


def test_a_carrier_that_refuses_for_good_is_not_waited_for() -> None:
    lab, one, other = lab_of(), bob(), zoe()
    lab.request(one, ZOE, "create", one.create("create", [other]))
    _, bundle = lab.take()
    lab.answer(bundle, 404)
    converged = Said.of(lab.take_one())
    assert isinstance(converged.arm, AcceptedMessage)
    assert lab.conversation(BOB, ZOE).outstanding == ()


@pytest.mark.parametrize("content_type", ["message/mls", "message/mls-rcs-client"])
def test_encrypted_content_never_becomes_a_short_message(content_type: str) -> None:
    config = replace(FOCUS_CONFIG, has_interworking=True, mls_rules=MlsFocusRules(arbitrates_era=False))
    lab = FocusLab(config=config)
    lab.receive(sent_by(zoe(), BOB, "m1", b"sealed", content_type))  # no device of Bob is known
    assert lab.texts == []
    assert lab.stored_messages() == 1
    lab.registered(BOB)
    exchange = lab.receive(sent_by(bob(), ZOE, "m2", b"sealed", content_type))
    onward = next(each for each in lab.take() if each.request.request_uri_text == f"tel:{ZOE}")
    lab.answer(onward, 404)  # nobody takes RCS there
    assert lab.texts == []
    assert lab.answers[exchange].status == 404


def test_what_passes_keeps_every_octet() -> None:
    lab, one = lab_of(), bob()
    request = sent_by(one, CAROL, "m1", bytes(range(256)), "message/mls")
    lab.receive(request)
    assert lab.take_one().request.body == request.body


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200), content_type=st.sampled_from(("message/mls-rcs-client", "message/mls-rcs")))
def test_any_octets_get_exactly_one_answer(body: bytes, content_type: str) -> None:
    lab = lab_of()
    answer = lab.ask(sent_by(carol(), BOB, "x", body, content_type))
    assert answer is not None
    assert answer.status == 200
    (said,) = lab.told()
    assert said.reason is not None
    assert said.headers.in_reply_to == "x"
    assert lab.conversation(BOB, CAROL).live is None


class _Story:
    """Bob's and Carol's phones ask as they like; the store fails, and the server restarts, now and then."""

    def __init__(self) -> None:
        self.lab, self.devices = lab_of(), {BOB: bob(), CAROL: carol()}
        self.accepted: list[tuple[int, int]] = []
        self.number = 0

    def step(self, number: str, action: str) -> None:
        self.number += 1
        control_id, device = f"r{self.number}", self.devices[number]
        other = BOB if number == CAROL else CAROL
        if action == "restart":
            self.lab = self.lab.restarted()
            self.lab.registered()
            return
        self.lab.store_error = StoreError("the disk is full") if action == "store" else None
        server = self.lab.conversation(BOB, CAROL).state if self.number > 1 and self._has_group() else None
        if server is None:
            request = device.create(control_id, [self.devices[other]])
        elif action == "era" or device.state != server:
            request = device.new_era(control_id, [self.devices[other]], server)
        else:
            request = device.commit(control_id)
        answer = self.lab.request(device, other, control_id, request)
        assert answer is not None
        self._settle(device, self.devices[other], control_id)

    def _has_group(self) -> bool:
        focus = self.lab.core.focus
        found = None if focus is None else focus.conversation(BOB[1:], CAROL[1:])
        return found is not None and found.live is not None

    def _settle(self, device: FocusDevice, other: FocusDevice, control_id: str) -> None:
        answers = [each for each in self.lab.told() if each.cpim.message_id != control_id or each.kind != SERVER]
        refusals = [each for each in answers if each.kind == REFUSED]
        acceptances = [each.arm for each in answers if each.kind == SERVER]
        if refusals:
            assert (len(answers), refusals[0].reason) == (1, "transient-error")
            device.roll_back()
            return
        assert [each.converged for each in acceptances if isinstance(each, AcceptedMessage)] == [False, True]
        device.adopt()
        state = self.lab.conversation(BOB, CAROL).state
        assert state == device.state
        assert state is not None
        self.accepted.append(state.moment)
        other._group, other.era = None, 0  # whatever it held: it learns by a new era


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from((BOB, CAROL)), st.sampled_from(("commit", "era", "store", "restart"))), max_size=8
    )
)
def test_whatever_comes_each_acceptance_is_the_next_moment_and_survives(steps: list[tuple[str, str]]) -> None:
    story = _Story()
    for number, action in steps:
        story.step(number, action)
    assert story.accepted == sorted(set(story.accepted))
    if story.accepted:
        again = story.lab.restarted()
        state = again.conversation(BOB, CAROL).state
        assert state is not None
        assert state.moment == story.accepted[-1]

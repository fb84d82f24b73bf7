from __future__ import annotations

from ims_core.nodes.dialog_table import DialogTable
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import NOW, make_request

INVITE = make_request("INVITE", "tel:+1", ("Contact", "<sip:alice@192.0.2.11>"), cseq=7)
RECORDED = [("Record-Route", "<sip:far;lr>"), ("Record-Route", "<sip:token@me;lr>"), ("Record-Route", "<sip:near;lr>")]


def answer(*headers: tuple[str, str]) -> Response:
    contact = ("Contact", "<sip:bob@192.0.2.22>")
    return Response.to(INVITE, 200, to_tag="t1", headers=[*RECORDED, contact, *headers])


def make_table(*headers: tuple[str, str]) -> DialogTable:
    table = DialogTable()
    table.confirm(INVITE, answer(*headers), contact_id="alice", token="token", is_ue_caller=True, now=NOW)
    return table


def within(method: str, *, from_callee: bool = False, cseq: int = 8) -> Request:
    request = make_request(method, "sip:bob@192.0.2.22", to="tel:+1", to_tag="t1", cseq=cseq)
    if not from_callee:
        return request
    return request.edit().set("From", "<tel:+1>;tag=t1").set("To", "<sip:alice@home.test>;tag=f1").done()


def test_a_dialog_is_found_from_both_ends_with_its_route_sets() -> None:
    table = make_table()
    dialog = table.find(within("BYE"), "token", NOW)
    assert dialog is not None
    assert dialog is table.find(within("BYE", from_callee=True), "token", NOW)
    assert dialog.callee_routes == ("<sip:far;lr>",)
    assert dialog.caller_routes == ("<sip:near;lr>",)
    assert table.find(within("BYE"), "other token", NOW) is None
    assert table.find(make_request("BYE", "sip:b@c", to_tag="t2"), "token", NOW) is None
    assert table.find(make_request("BYE", "sip:b@c"), "token", NOW) is None


def test_a_release_goes_on_with_the_sequence_numbers_of_both_sides() -> None:
    table = make_table()
    dialog = table.find(within("UPDATE", cseq=9), "token", NOW)
    assert dialog is not None
    table.find(within("UPDATE", from_callee=True, cseq=40), "token", NOW)
    to_callee = dialog.bye(to_callee=True, reason="SIP;cause=503")
    assert (to_callee.request_uri_text, to_callee.text("CSeq")) == ("sip:bob@192.0.2.22", "10 BYE")
    assert to_callee.texts("Route") == ("<sip:far;lr>",)
    assert to_callee.text("From") == "<sip:alice@home.test>;tag=f1"
    to_caller = dialog.bye(to_callee=False, reason="SIP;cause=503")
    assert (to_caller.request_uri_text, to_caller.text("CSeq")) == ("sip:alice@192.0.2.11", "41 BYE")
    assert to_caller.text("From") == "<tel:+1>;tag=t1"
    assert to_caller.text("Reason") == "SIP;cause=503"


def test_a_dialog_ends_by_bye_with_its_registration_or_when_nobody_refreshes_it() -> None:
    table = make_table()
    table.remove(within("BYE"), "token")
    assert len(table) == 0
    table = make_table()
    assert len(table.drop_all_of("alice")) == 1
    assert table.drop_all_of("alice") == []
    table = make_table(("Session-Expires", "90;refresher=uac"))
    assert table.pop_due(NOW + 121) == []
    assert len(table.pop_due(NOW + 122)) == 1


def test_a_refresh_moves_the_end() -> None:
    table = make_table(("Session-Expires", "90"))
    update = Response.to(within("UPDATE"), 200, headers=[("Session-Expires", "90")])
    table.refreshed(update, "token", NOW + 60)
    assert table.deadlines.next_deadline() == NOW + 60 + 90 + 32
    table.refreshed(update, "other", NOW + 90)
    assert table.deadlines.next_deadline() == NOW + 60 + 90 + 32


def test_the_2xx_once_more_changes_nothing() -> None:
    table = make_table()
    table.confirm(INVITE, answer(), contact_id="alice", token="token", is_ue_caller=True, now=NOW)
    assert len(table) == 1


def test_an_attempt_to_refresh_keeps_the_dialog_of_a_ue_that_answers_nothing() -> None:
    table = make_table(("Session-Expires", "90"))
    update = within("UPDATE").edit().set("Session-Expires", "90;refresher=uac").done()
    table.find(update, "token", NOW + 60)
    table.find(within("BYE"), "token", NOW + 100)
    assert table.deadlines.next_deadline() == NOW + 60 + 90 + 32

"""What the P-CSCF does to responses (table 15.1 of the digest)."""

from __future__ import annotations

import pytest

from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from ims_core.wire.sip.message import Response
from tests.support.core_cases import NOW, forward_of, make_request, only_target, status_of
from tests.support.pcscf_bench import SIP, TEL, invite_answer, message, terminating
from tests.support.pcscf_bench import PcscfBench as Bench


@pytest.mark.parametrize(
    ("claim", "asserted"),
    [
        ((), TEL),  # who was called
        ((("P-Preferred-Identity", f"<{SIP}>"),), SIP),
        ((("P-Preferred-Identity", "<sip:boss@home.test>"),), TEL),
        ((("P-Asserted-Identity", "<sip:boss@home.test>"),), TEL),
    ],
)
def test_the_answer_of_a_ue_carries_an_identity_that_the_network_asserts(
    claim: tuple[tuple[str, str], ...], asserted: str
) -> None:
    bench = Bench()
    back = bench.back(bench.to_ue(terminating()), Response.new(200, headers=claim))
    assert back.texts("P-Asserted-Identity") == (f"<{asserted}>",)
    assert not back.has("P-Preferred-Identity")


def test_without_a_called_party_the_default_identity_is_asserted() -> None:
    bench = Bench()
    back = bench.back(bench.to_ue(terminating().edit().remove("P-Called-Party-ID").done()), Response.new(200))
    assert back.text("P-Asserted-Identity") == f"<{SIP}>"


def test_charging_headers_do_not_reach_the_ue() -> None:
    bench = Bench()
    charged = Response.new(200, headers=[("P-Charging-Vector", "icid-value=1"), ("P-Asserted-Identity", "<tel:+1>")])
    back = bench.back(bench.from_ue(message()), charged)
    assert not back.has("P-Charging-Vector")
    assert back.has("P-Asserted-Identity")


def test_a_flow_that_breaks_under_a_request_is_430_and_silence_is_silence() -> None:
    forward = forward_of(Bench().to_ue(terminating()))
    assert forward.hook is not None
    decision = forward.hook.replace(TransactionFailure(FailureReason.TRANSPORT), forward.targets[0], NOW)
    assert decision is not None
    assert status_of(decision) == 430
    assert forward.hook.replace(TransactionFailure(FailureReason.TIMEOUT), forward.targets[0], NOW) is None
    assert forward.hook.replace(Response.new(486), forward.targets[0], NOW) is None


def test_a_bye_that_is_answered_ends_the_dialog() -> None:
    bench = Bench()
    decision = bench.from_ue(make_request("INVITE", "tel:+1", ("Contact", "<sip:a@b>"), sender=SIP))
    bench.back(decision, invite_answer(only_target(decision).request))
    bye = make_request("BYE", "sip:bob@192.0.2.22", sender=SIP, to_tag="t1", cseq=2)
    decision = bench.from_ue(bye)
    bench.back(decision, Response.to(only_target(decision).request, 200))
    assert status_of(bench.from_ue(bye)) == 481


def test_the_end_of_a_registration_that_the_network_notifies_is_seen() -> None:
    bench = Bench()
    for state, is_over in (("active;expires=100", False), ("terminated;reason=timeout", False), ("terminated", True)):
        headers = (("Event", "reg"), ("Subscription-State", state))
        bench.back(bench.to_ue(terminating("NOTIFY", *headers)), Response.new(200))
        assert (len(bench.core.accesses) == 0) is is_over, state

"""The criteria of digest §16."""

from __future__ import annotations

import pytest

from ims_core.nodes.default_criteria import PLAIN_PROFILE, default_services, messaging_profile
from ims_core.nodes.filter_criteria import CriteriaIndex
from ims_core.service_profile import DefaultHandling, SessionCase
from ims_core.wire.sip.message import Request
from tests.support.core_cases import make_request

ORIG, TERM, TERM_U, REG = (
    SessionCase.ORIGINATING,
    SessionCase.TERMINATING,
    SessionCase.TERMINATING_UNREGISTERED,
    SessionCase.REGISTRATION,
)
INDEX = CriteriaIndex(
    messaging_profile(
        "rcs",
        "home.test",
        messaging_server="sip:rcsas.home.test",
        sms_gateway="sip:ipsmgw.home.test",
        focus="sip:focus.home.test",
        presence_server="sip:pres.home.test",
    )
)
ICSI = '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'
IARI = '*;+g.3gpp.iari-ref="urn%3Aurn-7%3A3gpp-application.ims.iari.rcs.fthttp";require;explicit'
SMS = ("Content-Type", "application/vnd.3gpp.sms")


def first(request: Request, case: SessionCase) -> str | None:
    found = INDEX.first_match(request, case)
    return None if found is None else found[0].name


@pytest.mark.parametrize(
    ("request_", "case", "name"),
    [
        (make_request("REGISTER", "sip:h", ("Contact", "<sip:a@b>;+g.3gpp.smsip")), REG, "reg-sms"),
        (make_request("REGISTER", "sip:h", ("Contact", "<sip:a@b>;+g.oma.sip-im")), REG, "reg-rcs"),
        (make_request("REGISTER", "sip:h", ("Contact", "<sip:a@b>")), REG, None),
        (make_request("MESSAGE", "tel:+12025550199", SMS), ORIG, "sms-mo"),
        (make_request("MESSAGE", "tel:+1", SMS), TERM, None),
        (make_request("INVITE", "sip:conference-factory@home.test"), ORIG, "group-factory"),
        (make_request("REFER", "sip:group1@focus.home.test"), ORIG, "group-focus"),
        (make_request("MESSAGE", "sip:group1@focus.other.test"), ORIG, None),
        (make_request("MESSAGE", "tel:+1", ("Accept-Contact", ICSI)), ORIG, "rcs-orig"),
        (make_request("MESSAGE", "tel:+1", ("Accept-Contact", IARI)), ORIG, "rcs-orig"),
        (make_request("MESSAGE", "tel:+1", ("Accept-Contact", "*;+g.oma.sip-im")), TERM, "rcs-term"),
        (make_request("INVITE", "tel:+1", ("P-Asserted-Service", "urn:urn-7:x.oma.cpm.session")), TERM_U, "rcs-term"),
        (make_request("OPTIONS", "tel:+1", ("Accept-Contact", ICSI)), TERM_U, "rcs-term-options"),
        (make_request("MESSAGE", "tel:+1"), TERM, None),
        (make_request("SUBSCRIBE", "tel:+1", ("Event", "presence")), ORIG, "presence"),
        (make_request("SUBSCRIBE", "tel:+1", ("Event", "reg")), ORIG, None),
    ],
)
def test_a_request_goes_to_the_server_of_the_table(request_: Request, case: SessionCase, name: str | None) -> None:
    assert first(request_, case) == name


def test_only_options_and_registrations_go_on_without_their_server() -> None:
    continued = {
        criterion.name
        for criterion in INDEX.profile.criteria
        if criterion.default_handling is DefaultHandling.SESSION_CONTINUED
    }
    assert continued == {"reg-sms", "reg-rcs", "rcs-orig-options", "rcs-term-options", "presence"}


def test_the_unregistered_state_is_served_so_that_messages_can_be_deferred() -> None:
    assert INDEX.has_unregistered_services()


def test_a_carrier_may_have_fewer_servers_and_other_services() -> None:
    assert messaging_profile("x", "h", messaging_server=None).criteria == ()
    assert messaging_profile("x", "h", messaging_server=None, services=frozenset(("urn:x",))).services == {"urn:x"}
    assert "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg" in default_services()
    assert PLAIN_PROFILE == "sip"

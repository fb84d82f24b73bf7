from __future__ import annotations

from dataclasses import replace

from rcs_sim.client.account import account_of
from rcs_sim.client.register_request import ALLOW, RegisterFields, build_register
from rcs_sim.devices.policy import RegistrationPolicy
from tests.support.stub_core import ALICE, HOME, subscriber

_POLICY = RegistrationPolicy()
_ACCOUNT = account_of(subscriber(ALICE), _POLICY, "00499901000101")
_FIELDS = RegisterFields(
    call_id="c1", cseq=3, from_tag="t1", contact="sip:x@192.0.2.1:5060", features=";+g.3gpp.smsip", expires_s=600000
)


def test_the_headers_are_those_of_the_digest() -> None:
    request = build_register(_ACCOUNT, _POLICY, "UA", _FIELDS)
    assert request.request_uri_text == f"sip:{HOME}"
    assert request.text("From") == f"<sip:{ALICE}@{HOME}>;tag=t1"
    assert request.text("To") == f"<sip:{ALICE}@{HOME}>"
    assert request.text("CSeq") == "3 REGISTER"
    assert request.text("Allow") == ALLOW
    assert request.text("User-Agent") == "UA"
    assert request.text("P-Access-Network-Info") == _POLICY.access_network_info
    assert (request.text("Contact") or "").endswith(";+g.3gpp.smsip;reg-id=1;expires=600000")


def test_a_bare_contact_has_no_parameters() -> None:
    request = build_register(_ACCOUNT, _POLICY, "UA", replace(_FIELDS, is_bare=True, expires_s=0))
    assert request.text("Contact") == "<sip:x@192.0.2.1:5060>"
    assert request.text("Expires") == "0"


def test_what_a_device_does_not_do_is_not_there() -> None:
    policy = RegistrationPolicy(
        offers_gruu=False, offers_outbound=False, sends_allow=False, access_network_info=None, sends_proxy_route=False
    )
    request = build_register(_ACCOUNT, policy, "UA", _FIELDS)
    assert request.text("Supported") == "path"
    assert not any(request.has(name) for name in ("Allow", "P-Access-Network-Info", "Route"))
    assert "reg-id" not in (request.text("Contact") or "")

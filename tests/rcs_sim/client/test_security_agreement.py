from __future__ import annotations

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.message import Response
from rcs_sim.client.security_agreement import SecurityAgreement


def test_it_is_offered_then_verified_then_repeated_in_every_request_r16() -> None:
    agreement = SecurityAgreement(Tokens("seed"))
    first = dict(agreement.of_register())  # type: ignore[arg-type]  # all are pairs
    assert first["Security-Client"].startswith("ipsec-3gpp;")
    assert first["Require"] == first["Proxy-Require"] == "sec-agree"
    assert agreement.of_request() == ()
    servers = ["ipsec-3gpp;q=0.5;spi-c=1", "tls;q=0.1"]
    agreement.challenged(Response.new(401, headers=[("Security-Server", each) for each in servers]))
    second = agreement.of_register()
    assert [value for name, value in second if name == "Security-Verify"] == servers  # type: ignore[misc]  # pairs
    assert ("Require", "sec-agree") in agreement.of_request()


def test_a_restart_draws_new_security_parameter_indexes() -> None:
    agreement = SecurityAgreement(Tokens("seed"))
    before = agreement.of_register()
    agreement.challenged(Response.new(401, headers=[("Security-Server", "x")]))
    agreement.restart()
    assert agreement.of_register() != before
    assert agreement.of_request() == ()

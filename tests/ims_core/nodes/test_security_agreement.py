"""R16 of the digest: sec-agree headers are repeated unchanged, a mismatch gives 494 (RFC 3329)."""

from __future__ import annotations

from ims_core.nodes.security_agreement import SecurityAgreements, asks_for_agreement, strip_agreement
from ims_core.wire.sip.message import Request
from tests.support.core_cases import NOW, make_request

CLIENT = "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=1001;spi-s=1002;port-c=50001;port-s=50002"


def register(client: str = "", verify: str = "") -> Request:
    headers = [("Require", "sec-agree, path"), ("Proxy-Require", "sec-agree")]
    headers += [("Security-Client", client)] if client else []
    headers += [("Security-Verify", verify)] if verify else []
    return make_request("REGISTER", "sip:home.test", *headers)


def test_the_first_register_is_offered_what_it_can_do() -> None:
    verdict = SecurityAgreements(5060).examine_register("ue", register(CLIENT), NOW)
    assert verdict.status is None
    assert verdict.server == (
        "ipsec-3gpp;q=0.5;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=8192;spi-s=8193;port-c=5060;port-s=5060"
    )


def test_the_second_register_has_to_repeat_both_headers() -> None:
    agreements = SecurityAgreements(5060)
    server = agreements.examine_register("ue", register(CLIENT), NOW).server
    shuffled = ";".join([server.split(";")[0], *reversed(server.split(";")[1:])])
    assert agreements.examine_register("ue", register(CLIENT, shuffled), NOW).is_protected
    for wrong in (register(CLIENT, server.replace("8192", "1")), register(CLIENT.replace("1001", "1"), server)):
        verdict = agreements.examine_register("ue", wrong, NOW)
        assert verdict.status == 494
        assert verdict.server
        assert not verdict.is_protected


def test_what_nobody_offered_cannot_be_verified() -> None:
    assert SecurityAgreements(5060).examine_register("ue", register(CLIENT, CLIENT), NOW).status == 494


def test_an_unknown_mechanism_or_algorithm_or_no_numbers_is_494() -> None:
    for client in ("tls", CLIENT.replace("hmac-sha-1-96", "rot13"), CLIENT.replace("1001", "x"), "ipsec-3gpp"):
        assert SecurityAgreements(5060).examine_register("ue", register(client), NOW).status == 494


def test_later_requests_repeat_security_verify_as_long_as_the_registration_lives() -> None:
    agreements = SecurityAgreements(5060)
    server = agreements.examine_register("ue", register(CLIENT), NOW).server
    agreements.keep("ue", NOW + 3600)
    message = make_request("MESSAGE", "tel:+1")
    assert agreements.examine("ue", message, NOW + 1000).status == 494
    verified = make_request("MESSAGE", "tel:+1", ("Security-Verify", server))
    assert agreements.examine("ue", verified, NOW + 1000).is_protected
    assert agreements.examine("ue", message, NOW + 3601).status is None
    assert agreements.examine("other", message, NOW).status is None


def registered() -> tuple[SecurityAgreements, str]:
    """A UE with an agreement in force, and its Security-Server."""
    agreements = SecurityAgreements(5060)
    server = agreements.examine_register("ue", register(CLIENT), NOW).server
    agreements.examine_register("ue", register(CLIENT, server), NOW)
    agreements.keep("ue", NOW + 3600)
    return agreements, server


NEW_CLIENT = CLIENT.replace("1001", "3001").replace("1002", "3002")


def test_a_re_register_may_offer_new_spis_and_is_told_new_ones() -> None:
    agreements, old = registered()
    verdict = agreements.examine_register("ue", register(NEW_CLIENT, old), NOW + 3000)
    assert verdict.status is None
    assert verdict.is_protected
    assert verdict.server != old
    message = make_request("MESSAGE", "tel:+1", ("Security-Verify", old))
    assert agreements.examine("ue", message, NOW + 3000).is_protected  # the old one is still in force
    again = agreements.examine_register("ue", register(NEW_CLIENT, verdict.server), NOW + 3001)
    assert again.is_protected
    agreements.keep("ue", NOW + 6600)
    assert agreements.examine("ue", message, NOW + 3002).status == 494
    assert agreements.examine("ue", make_request("MESSAGE", "tel:+1", ("Security-Verify", verdict.server)), NOW + 5000)
    assert len(agreements) == 1


def test_a_re_register_with_new_spis_that_was_not_challenged_leaves_the_old_agreement() -> None:
    agreements, old = registered()
    agreements.examine_register("ue", register(NEW_CLIENT, old), NOW + 3000)
    agreements.keep("ue", NOW + 6600)
    message = make_request("MESSAGE", "tel:+1", ("Security-Verify", old))
    assert agreements.examine("ue", message, NOW + 5000).is_protected
    assert len(agreements) == 1


def test_new_spis_have_to_be_repeated_too() -> None:
    agreements, old = registered()
    server = agreements.examine_register("ue", register(NEW_CLIENT, old), NOW).server
    other = NEW_CLIENT.replace("3001", "4001")
    assert agreements.examine_register("ue", register(other, server), NOW).status == 494


def test_new_spis_that_nothing_fits_are_494_and_leave_the_old_agreement() -> None:
    agreements, old = registered()
    assert agreements.examine_register("ue", register("tls", old), NOW).status == 494
    message = make_request("MESSAGE", "tel:+1", ("Security-Verify", old))
    assert agreements.examine("ue", message, NOW).is_protected


def test_a_ue_that_registers_without_the_agreement_in_force_begins_anew() -> None:
    agreements, old = registered()
    verdict = agreements.examine_register("ue", register(NEW_CLIENT), NOW)
    assert verdict.status is None
    assert not verdict.is_protected
    agreements.keep("ue", NOW + 3600)  # the registrar asked for nothing, so that nobody told the UE an agreement
    assert agreements.examine("ue", make_request("MESSAGE", "tel:+1"), NOW).status is None
    assert agreements.examine_register("ue", register(CLIENT, old), NOW).status == 494


def test_an_agreement_that_nobody_answers_is_forgotten() -> None:
    agreements = SecurityAgreements(5060)
    server = agreements.examine_register("ue", register(CLIENT), NOW).server
    assert agreements.examine_register("ue", register(CLIENT, server), NOW + 241).status == 494
    agreements.forget("ue")
    assert agreements.examine("ue", make_request("MESSAGE", "tel:+1"), NOW).status is None


def test_offers_that_nobody_takes_up_are_bounded_whoever_is_registered() -> None:
    agreements = SecurityAgreements(5060)
    for number in range(20):
        agreements.examine_register(f"registered {number}", register(CLIENT), NOW)
        agreements.keep(f"registered {number}", NOW + 3600)
    for number in range(10_100):
        agreements.examine_register(number, register(CLIENT), NOW)
    assert len(agreements) == 10_020
    agreements.examine_register("later", register(CLIENT), NOW + 241)
    assert len(agreements) == 21
    agreements.forget("registered 0")
    assert len(agreements) == 20


def test_the_headers_end_at_the_pcscf() -> None:
    request = register(CLIENT, CLIENT)
    assert asks_for_agreement(request)
    assert not asks_for_agreement(make_request("MESSAGE", "tel:+1"))
    editor = request.edit()
    strip_agreement(editor, request)
    after = editor.done()
    assert after.text("Require") == "path"
    assert not after.has("Proxy-Require")
    assert not after.has("Security-Client")
    assert not after.has("Security-Verify")

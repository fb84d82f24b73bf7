from __future__ import annotations

from ims_core.nodes.third_party_register import third_party_register
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import check
from tests.support.core_cases import make_request


def build(register: Request | None = None, answer: Response | None = None, expires_s: int = 3600) -> Request:
    return third_party_register(
        "sip:as.home.test",
        scscf_uri="sip:127.0.1.12:5060",
        impu="sip:a@home.test",
        expires_s=expires_s,
        call_id="3p-1@x",
        cseq=7,
        tag="t",
        register=register,
        answer=answer,
    )


def test_it_names_the_user_in_to_and_the_scscf_in_from_and_contact() -> None:
    request = build(expires_s=0)
    check(request.edit().push("Via", "SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1").done())
    assert request.text("To") == "<sip:a@home.test>"
    assert request.text("From") == "<sip:127.0.1.12:5060>;tag=t"
    assert request.text("Contact") == "<sip:127.0.1.12:5060>"
    assert (request.text("Expires"), request.text("CSeq"), request.body) == ("0", "7 REGISTER", b"")


def test_it_embeds_the_register_without_its_credentials_and_the_answer_octet_for_octet() -> None:
    network = ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=1")
    register = make_request(
        "REGISTER", "sip:home.test", network, ("Authorization", "Digest x"), ("P-Charging-Vector", "icid-value=1")
    )
    answer = Response.to(register, 200, to_tag="s")
    request = build(register, answer)
    assert answer.encode() in request.body
    assert register.edit().remove("Authorization").done().encode() in request.body
    assert request.text("P-Access-Network-Info") == network[1]
    assert request.text("P-Charging-Vector") == "icid-value=1"
    content_type = request.content_type
    assert content_type is not None
    boundary = (content_type.params.get("boundary") or "").encode()
    assert request.body.startswith(b"--" + boundary + b"\r\nContent-Type: message/sip\r\n\r\nREGISTER ")
    assert request.body.endswith(b"\r\n--" + boundary + b"--\r\n")


def test_the_boundary_occurs_in_no_part() -> None:
    register = make_request("REGISTER", "sip:home.test", body=b"--3p-3p1x-7\r\n--3p-3p1x-8", content_type="text/plain")
    request = build(register)
    assert request.body.count(b"--3p-3p1x-9") == 2

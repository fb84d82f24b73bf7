from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sip.grammar import SipParseError
from rcs_sim.server.third_party_registration import read_third_party_registration
from tests.rcs_sim.server.messaging_lab import BOB, PHONE, TABLET, UeBinding, gruu, third_party_register

TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


def test_the_register_tells_the_tags_and_the_200_every_binding_with_its_gruu() -> None:
    report = read_third_party_registration(third_party_register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING))
    assert report.user == f"tel:{BOB}"
    assert not report.is_over
    (registering,) = report.registering
    assert registering.instance == TABLET
    assert registering.features is not None
    assert registering.features.has("+g.gsma.rcs.msgrevoke")
    assert registering.user_agent == "IM-client/OMA1.0 Sim"
    assert report.bindings is not None
    assert [(binding.instance, binding.gruu) for binding in report.bindings] == [
        (PHONE, gruu(PHONE)),
        (TABLET, gruu(TABLET)),
    ]


def test_expires_0_is_the_end() -> None:
    assert read_third_party_registration(third_party_register(expires=0)).is_over


def test_nothing_embedded_is_nothing_known() -> None:
    report = read_third_party_registration(third_party_register(UeBinding(), embedded=False))
    assert (report.registering, report.bindings) == ((), None)


def test_a_gruu_that_is_no_sip_uri_is_left_out() -> None:
    request = third_party_register(UeBinding())
    body = request.body.replace(b'pub-gruu="sip:', b'pub-gruu="xyz:')
    (binding,) = read_third_party_registration(request.edit().body(body).done()).bindings or ()
    assert (binding.instance, binding.gruu) == (PHONE, "")


_TYPES = ["message/sip", 'multipart/mixed;boundary="3pb"', "multipart/mixed", ""]


@given(st.binary(max_size=300), st.sampled_from(_TYPES))
def test_any_octets_are_read_or_left_out(body: bytes, content_type: str) -> None:
    request = third_party_register(UeBinding()).edit().set("Content-Type", content_type).body(body).done()
    read_third_party_registration(request)


def test_a_to_that_cannot_be_read_is_a_parse_error() -> None:
    with pytest.raises(SipParseError):
        read_third_party_registration(third_party_register(UeBinding()).edit().set("To", "<<>>").done())

from __future__ import annotations

import pytest

from ims_core.wire.sip.message import Response
from rcs_sim.client.account import account_of
from rcs_sim.client.binding import read_binding
from rcs_sim.devices.policy import RegistrationPolicy
from tests.support.stub_core import ALICE, subscriber

_ACCOUNT = account_of(subscriber(ALICE), RegistrationPolicy(), "00499901000101")
_CONTACT = "sip:x@192.0.2.1:5060;transport=tcp"


def _ok(*headers: tuple[str, str], via: str = "SIP/2.0/TCP h;branch=z9hG4bK1;keep") -> Response:
    return Response.new(200, headers=[("Via", via), *headers])


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ((("Contact", f"<{_CONTACT}>;expires=70"),), 70),
        ((("Contact", f"<sip:other@h>;expires=5, <{_CONTACT}>;expires=70"),), 70),
        ((("Contact", f"<{_CONTACT}>"), ("Expires", "80")), 80),
        ((("Contact", f"<{_CONTACT}>"),), 3600),
        ((("Expires", "80"),), 80),
        ((("Contact", '<sip:nat@h>;+sip.instance="<urn:gsma:imei:00499901-000101-0>";expires=90'),), 90),
    ],
)
def test_the_own_contact_is_found_by_instance_or_uri(headers: tuple[tuple[str, str], ...], granted: int) -> None:
    binding = read_binding(_ok(*headers), _CONTACT, _ACCOUNT, 600_000, 1000)
    assert binding is not None
    assert (binding.granted_s, binding.expires_at) == (granted, 1000 + granted)


@pytest.mark.parametrize("contact", ["<sip:other@h>;expires=60", f"<{_CONTACT}>;expires=0"])
def test_a_200_without_the_own_contact_is_no_binding(contact: str) -> None:
    assert read_binding(_ok(("Contact", contact)), _CONTACT, _ACCOUNT, 600, 0) is None


@pytest.mark.parametrize(("param", "keep"), [("keep=120", 120), ("keep", None), ("keep=x", None), ("keep=0", None)])
def test_keep_alives_need_a_value_in_the_via(param: str, keep: int | None) -> None:
    via = f"SIP/2.0/TCP h;branch=z9hG4bK1;{param}"
    binding = read_binding(_ok(("Contact", f"<{_CONTACT}>;expires=9"), via=via), _CONTACT, _ACCOUNT, 600, 0)
    assert binding is not None
    assert binding.keep_s == keep


def test_malformed_routes_and_identities_are_left_out() -> None:
    headers = (("Contact", f"<{_CONTACT}>;expires=9"), ("Service-Route", "@@"), ("P-Associated-URI", "<"))
    binding = read_binding(_ok(*headers), _CONTACT, _ACCOUNT, 600, 0)
    assert binding is not None
    assert (binding.service_route, binding.associated) == ((), ())

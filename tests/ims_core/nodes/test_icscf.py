"""Table 15.2 of the digest, statement by statement."""

from __future__ import annotations

from ims_core.cx import AssignmentType
from ims_core.nodes.default_criteria import messaging_profile
from ims_core.nodes.hss import Hss, HssConfig
from ims_core.nodes.icscf import IcscfConfig, IcscfCore
from ims_core.nodes.own_address import OwnAddress
from ims_core.service_profile import ServiceProfile
from ims_core.store.subscribers import Subscriber
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from ims_core.transport.tokens import Tokens
from ims_core.wire.secret import Secret
from ims_core.wire.sip.message import Response
from tests.support.core_cases import (
    NOW,
    StillFlow,
    forward_of,
    hop_to,
    make_request,
    only_target,
    status_of,
)

HOME = "home.test"
OWN = Address(Transport.TCP, "127.0.1.11", 5060)
FLOW = StillFlow("127.0.1.10")
CREDENTIALS = ("Authorization", 'Digest username="alice@home.test", realm="home.test", uri="sip:home.test", nonce=""')
VISITED = ("P-Visited-Network-ID", '"home.test"')


def make_core(*, scscf: str = "sip:scscf.home.test") -> tuple[IcscfCore, Hss]:
    subscribers = (
        Subscriber(
            impi="alice@home.test",
            implicit_sets=(("sip:+12025550101@home.test", "tel:+12025550101"),),
            password=Secret.of_text("a"),
        ),
        Subscriber(
            impi="carol@home.test",
            implicit_sets=(("sip:carol@home.test",),),
            password=Secret.of_text("c"),
            service_profile="sip",
        ),
    )
    hss = Hss(
        HssConfig(
            home_domain=HOME,
            scscf=scscf,
            profiles={
                "rcs": messaging_profile("rcs", HOME, messaging_server="sip:rcsas.home.test"),
                "sip": ServiceProfile("sip"),
            },
            subscribers=subscribers,
            service_identities={"focus.home.test": "sip:focus.home.test;lr"},
        ),
        tokens=Tokens("x"),
    )
    config = IcscfConfig(name="red.icscf", home_domain=HOME, listen=(OWN,))
    return IcscfCore(config, OwnAddress((OWN,), ("icscf.home.test",)), hss, hop_to), hss


def test_register_goes_to_the_scscf_with_its_name_as_request_uri() -> None:
    core, _ = make_core()
    request = make_request("REGISTER", "sip:home.test", CREDENTIALS, VISITED, to="sip:+12025550101@home.test")
    target = only_target(core.route(request, FLOW, NOW))
    assert target.request.request_uri_text == "sip:scscf.home.test"
    assert target.hop.address == Address(Transport.TCP, "10.0.0.1", 5060)
    assert not target.request.has("Path")
    assert not target.request.has("Record-Route")
    assert target.request.text("Max-Forwards") == "69"


def test_register_without_credentials_is_looked_up_by_the_impu() -> None:
    core, _ = make_core()
    request = make_request("REGISTER", "sip:home.test", to="sip:carol@home.test")
    assert only_target(core.route(request, FLOW, NOW)).request.method == "REGISTER"


def test_register_of_an_unknown_or_mismatched_or_barred_or_roaming_user_is_403() -> None:
    core, hss = make_core()
    for request in (
        make_request("REGISTER", "sip:home.test", to="sip:nobody@home.test"),
        make_request("REGISTER", "sip:home.test", CREDENTIALS, to="sip:carol@home.test"),
        make_request("REGISTER", "sip:home.test", ("P-Visited-Network-ID", '"far.test"'), to="sip:carol@home.test"),
    ):
        assert status_of(core.route(request, FLOW, NOW)) == 403
    hss.bar("carol@home.test")
    assert status_of(core.route(make_request("REGISTER", "sip:h", to="sip:carol@home.test"), FLOW, NOW)) == 403


def test_register_is_480_when_the_hss_is_silent_and_504_when_no_scscf_is_known() -> None:
    core, hss = make_core()
    request = make_request("REGISTER", "sip:home.test", to="sip:carol@home.test")
    hss.is_up = False
    assert status_of(core.route(request, FLOW, NOW)) == 480
    core, _ = make_core(scscf="sip:scscf.invalid")
    assert status_of(core.route(request, FLOW, NOW)) == 504


def test_an_initial_request_gets_a_route_to_the_scscf_and_keeps_its_request_uri() -> None:
    core, _ = make_core()
    for uri in (
        "tel:+12025550101",
        "sip:+12025550101@home.test;user=phone",
        "sip:+12025550101@home.test;gr=urn:uuid:1",
    ):
        request = make_request("INVITE", uri, ("Route", "<sip:icscf.home.test;lr>"))
        target = only_target(core.route(request, FLOW, NOW))
        assert target.request.request_uri_text == uri
        assert target.request.texts("Route") == ("<sip:scscf.home.test;lr>",)
        assert not target.request.has("Record-Route")


def test_an_unknown_user_is_404_and_one_without_unregistered_services_480() -> None:
    core, hss = make_core()
    for uri in ("tel:+12025550107", "sip:nobody@home.test", "sip:x@elsewhere.test", "tel:911"):
        assert status_of(core.route(make_request("MESSAGE", uri), FLOW, NOW)) == 404, uri
    carol = make_request("MESSAGE", "sip:carol@home.test")
    assert status_of(core.route(carol, FLOW, NOW)) == 480
    hss.server_assignment("sip:carol@home.test", AssignmentType.REGISTRATION, "s")
    assert only_target(core.route(carol, FLOW, NOW)).request.has("Route")
    hss.is_up = False
    assert status_of(core.route(carol, FLOW, NOW)) == 504


def test_a_service_identity_is_routed_to_its_server() -> None:
    core, _ = make_core()
    target = only_target(core.route(make_request("INVITE", "sip:group1@focus.home.test"), FLOW, NOW))
    assert target.request.texts("Route") == ("<sip:focus.home.test;lr>",)


def test_an_scscf_that_is_down_is_504_and_other_answers_pass() -> None:
    core, _ = make_core()
    forward = forward_of(core.route(make_request("MESSAGE", "tel:+12025550101"), FLOW, NOW))
    assert forward.hook is not None
    failure = TransactionFailure(FailureReason.TRANSPORT)
    assert status_of(forward.hook.replace(failure, forward.targets[0], NOW)) == 504
    assert forward.hook.replace(TransactionFailure(FailureReason.TIMEOUT), forward.targets[0], NOW) is None
    assert forward.hook.replace(Response.new(503), forward.targets[0], NOW) is None


def test_it_is_no_relay_for_routes_of_others() -> None:
    core, _ = make_core()
    request = make_request("MESSAGE", "tel:+12025550101", ("Route", "<sip:192.0.2.66;lr>"))
    assert status_of(core.route(request, FLOW, NOW)) == 403
    assert status_of(core.route(make_request("ACK", "tel:+12025550101"), FLOW, NOW)) == 403

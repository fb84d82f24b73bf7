from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.digest import (
    MD5,
    SHA_256,
    Algorithm,
    DigestChallenge,
    DigestCredentials,
    compute_ha1,
    is_authentic,
)
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import AKAV1_MD5, AkaSubscription, AuthenticationCentre, Usim
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.account import account_of
from rcs_sim.client.authenticator import Authenticator
from rcs_sim.client.registration import (
    IGNORED,
    REGISTRATION_TABLE,
    ConfigurationStale,
    Ended,
    Registered,
    Registration,
    RegistrationInput,
    RegistrationOutput,
    RegistrationState,
    SendRegister,
    Unregistered,
)
from rcs_sim.devices.policy import DevicePolicy, RegistrationPolicy
from rcs_sim.wire.rcs_configuration import AuthType, PcscfAddress, RcsConfiguration

_HOME = "ims.mnc001.mcc001.3gppnetwork.org"
_IMPI = f"001010000000101@{_HOME}"
_IMPU = f"sip:+12025550101@{_HOME}"
_INSTANCE = "urn:gsma:imei:00499901-000101-0"
_CONTACT = "sip:001010000000101@192.0.2.11:5060;transport=tcp"
_FEATURES = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";+g.3gpp.smsip'
_CONFIGURATION = RcsConfiguration(
    public_identities=(_IMPU, "tel:+12025550101"),
    pcscf_addresses=(PcscfAddress("127.0.1.10"),),
    realm=_HOME,
    user_name=_IMPI,
    password=Secret.of_text("lab-secret-A"),
    home_domain=_HOME,
    private_identity=_IMPI,
)
_NONCE = "8f3c1a5e7d904b22a6e1c0ffee001122"


def _machine(
    policy: RegistrationPolicy | None = None,
    configuration: RcsConfiguration = _CONFIGURATION,
    usim: Usim | None = None,
) -> Registration:
    policy = policy or RegistrationPolicy()
    device = DevicePolicy(name="test", registration=policy)
    account = account_of(configuration, policy, "00499901000101")
    authenticator = Authenticator(
        account, usim, echoes_opaque=policy.echoes_opaque, copies_qop=policy.copies_qop_verbatim
    )
    return Registration(account, device, authenticator, Tokens("seed"))


def _request(outputs: Iterable[RegistrationOutput]) -> Request:
    found = [each.request for each in outputs if isinstance(each, SendRegister)]
    assert len(found) == 1, outputs
    return found[0]


def _start(machine: Registration, now: float = 0) -> Request:
    return _request(machine.start(_CONTACT, _FEATURES, now))


def _respond(request: Request, status: int, *headers: tuple[str, str]) -> Response:
    with_via = request.edit().push("Via", "SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK1;rport=5060;keep=120").done()
    return Response.to(with_via, status, to_tag="s1", headers=headers)


def _challenge(request: Request, challenge: DigestChallenge | None = None) -> Response:
    value = challenge or DigestChallenge(_HOME, _NONCE, MD5)
    return _respond(request, 401, ("WWW-Authenticate", str(value)))


def _ok(request: Request, expires: int = 3600, *more: tuple[str, str]) -> Response:
    contact = f'<{_CONTACT}>;+sip.instance="<{_INSTANCE}>";pub-gruu="{_IMPU};gr={_INSTANCE}";expires={expires}'
    return _respond(
        request,
        200,
        ("Contact", contact),
        ("Service-Route", f"<sip:orig@scscf.{_HOME};lr>"),
        ("P-Associated-URI", f"<{_IMPU}>, <tel:+12025550101>"),
        *more,
    )


def _registered(machine: Registration, expires: int = 3600) -> Registration:
    request = _start(machine)
    request = _request(machine.receive(_challenge(request), 0))
    outputs = machine.receive(_ok(request, expires), 0)
    assert isinstance(outputs[0], Registered)
    return machine


def _credentials(request: Request) -> DigestCredentials:
    return DigestCredentials.parse(request.text("Authorization") or "")


@pytest.mark.parametrize("state", list(RegistrationState))
@pytest.mark.parametrize("given", list(RegistrationInput))
def test_each_pair_is_in_the_table_or_absorbed_or_illegal(state: RegistrationState, given: RegistrationInput) -> None:
    assert not ((state, given) in REGISTRATION_TABLE and (state, given) in IGNORED)
    if (state, given) not in REGISTRATION_TABLE and (state, given) not in IGNORED:
        machine = _machine()
        machine.state = state
        with pytest.raises(LocalProtocolError, match=given.name):
            machine._take(given, 0)


def test_the_first_register_carries_empty_authorization_r01() -> None:
    request = _start(_machine())
    credentials = _credentials(request)
    assert (credentials.username, credentials.realm, credentials.nonce, credentials.response) == (_IMPI, _HOME, "", "")
    assert credentials.uri == f"sip:{_HOME}"
    assert request.request_uri_text == f"sip:{_HOME}"
    assert request.text("Supported") == "path, gruu, outbound"
    assert request.text("Expires") == "600000"
    assert request.text("Route") == "<sip:127.0.1.10;transport=tcp;lr>"


def test_the_contact_has_the_instance_and_every_tag_once_r02() -> None:
    contact = _start(_machine()).text("Contact") or ""
    assert contact == f'<{_CONTACT}>;+sip.instance="<{_INSTANCE}>"{_FEATURES};reg-id=1;expires=600000'


@pytest.mark.parametrize(
    ("algorithm", "qop"), [(MD5, ("auth",)), (MD5, ()), (SHA_256, ("auth",)), (None, ("auth", "auth-int"))]
)
def test_digest_responses_are_authentic_r04(algorithm: Algorithm | None, qop: tuple[str, ...]) -> None:
    machine = _machine()
    answer = _request(machine.receive(_challenge(_start(machine), DigestChallenge(_HOME, _NONCE, algorithm, qop)), 0))
    credentials = _credentials(answer)
    ha1 = compute_ha1(algorithm or MD5, _IMPI, _HOME, "lab-secret-A")
    assert is_authentic(credentials, ha1, "REGISTER")
    assert credentials.qop == ("auth" if qop else None)


def test_the_answer_keeps_call_id_and_from_tag_and_counts_cseq() -> None:
    machine = _machine()
    first = _start(machine)
    second = _request(machine.receive(_challenge(first), 0))
    assert second.call_id == first.call_id
    assert second.text("From") == first.text("From")
    assert (first.cseq.number, second.cseq.number) == (1, 2)


def test_the_200_gives_route_identities_gruu_and_keep_alive() -> None:
    binding = _registered(_machine()).binding
    assert binding is not None
    assert binding.service_route == (f"<sip:orig@scscf.{_HOME};lr>",)
    assert [str(uri) for uri in binding.associated] == [_IMPU, "tel:+12025550101"]
    assert binding.public_gruu == f"{_IMPU};gr={_INSTANCE}"
    assert binding.keep_s == 120


@pytest.mark.parametrize(("life", "refresh"), [(3600, 3000), (1201, 601), (1200, 600), (60, 30)])
def test_the_refresh_comes_600_s_before_the_end_or_at_half_of_a_short_life_r08(life: int, refresh: float) -> None:
    machine = _registered(_machine(), life)
    assert machine.next_deadline() == refresh
    request = _request(machine.handle_deadline(refresh))
    assert _credentials(request).nc == "00000002"
    outputs = machine.receive(_ok(request), refresh)
    assert isinstance(outputs[0], Registered)
    assert not outputs[0].is_new


def test_what_a_phone_learns_to_do_is_told_by_a_refresh_at_once() -> None:
    machine = _registered(_machine())
    assert machine.announce(";+g.new", 10) != []
    machine = _registered(_machine())
    request = _request(machine.announce(";+g.new", 10))
    assert ";+g.new" in (request.text("Contact") or "")
    assert machine.announce(";+g.newer", 11) == [], "the answer is awaited first"
    assert machine.is_untold(";+g.newer")
    machine.receive(_ok(request), 12)
    assert ";+g.newer" in (_request(machine.announce(";+g.newer", 12)).text("Contact") or "")
    assert not machine.is_untold(";+g.newer")


def test_423_is_answered_with_min_expires_r09() -> None:
    machine = _machine(RegistrationPolicy(requested_expiry_s=30))
    request = _request(machine.receive(_respond(_start(machine), 423, ("Min-Expires", "60")), 0))
    assert request.text("Expires") == "60"
    assert machine.receive(_respond(request, 423, ("Min-Expires", "60")), 0)
    assert machine.state is RegistrationState.WAITING


def test_deregistration_names_the_own_contact_and_expires_0_over_the_cached_challenge_r10() -> None:
    machine = _registered(_machine())
    request = _request(machine.stop(10))
    assert request.text("Expires") == "0"
    assert (request.text("Contact") or "").startswith(f"<{_CONTACT}>;+sip.instance=")
    assert "*" not in (request.text("Contact") or "")[:2]
    assert _credentials(request).nc == "00000002"
    assert machine.receive(_respond(request, 200), 10) == [Unregistered("de-registered"), Ended()]
    assert machine.state is RegistrationState.IDLE


def test_a_challenged_deregistration_is_answered() -> None:
    machine = _registered(_machine())
    request = _request(machine.stop(10))
    again = _request(machine.receive(_challenge(request, DigestChallenge(_HOME, "new", MD5, stale=True)), 10))
    assert again.text("Expires") == "0"
    assert _credentials(again).nonce == "new"


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("rejected", RegistrationState.REFUSED),
        ("deactivated", RegistrationState.REGISTERING),
        ("probation", RegistrationState.WAITING),
        ("unregistered", RegistrationState.WAITING),
        ("expired", RegistrationState.REGISTERING),
        ("shortened", RegistrationState.REGISTERED),
    ],
)
def test_a_notified_end_of_the_binding_r13(event: str, state: RegistrationState) -> None:
    machine = _registered(_machine())
    machine.notified(event, 10, 77.0)
    assert machine.state is state
    if event == "probation":
        assert machine.next_deadline() == 87


def test_a_network_that_ends_each_binding_at_once_is_not_stormed() -> None:
    machine = _registered(_machine())
    request = _request(machine.notified("deactivated", 10))
    machine.receive(_respond(request, 200, ("Contact", f"<{_CONTACT}>;expires=600")), 11)
    assert machine.state is RegistrationState.REGISTERED
    machine.notified("expired", 12)
    assert machine.state is RegistrationState.WAITING
    deadline = machine.next_deadline()
    assert deadline is not None
    assert deadline >= 12 + 15
    request = _request(machine.handle_deadline(deadline))
    machine.receive(_respond(request, 200, ("Contact", f"<{_CONTACT}>;expires=600")), deadline)
    assert _request(machine.notified("deactivated", deadline + 3600)), "much later it is asked for anew at once"


def test_a_p_cscf_that_closes_each_flow_at_once_is_not_stormed() -> None:
    machine = _registered(_machine())
    request = _request(machine.flow_lost(10))
    machine.receive(_respond(request, 200, ("Contact", f"<{_CONTACT}>;expires=600")), 11)
    machine.flow_lost(12)
    assert machine.state is RegistrationState.WAITING
    deadline = machine.next_deadline()
    assert deadline is not None
    assert 12 + 15 <= deadline <= 12 + 30
    request = _request(machine.handle_deadline(deadline))
    machine.receive(_respond(request, 200, ("Contact", f"<{_CONTACT}>;expires=600")), deadline)
    assert _request(machine.flow_lost(deadline + 600)), "a flow that lasted is replaced at once"


@pytest.mark.parametrize("event", ["probation", "unregistered"])
def test_a_retry_after_of_0_in_a_notification_counts_as_none(event: str) -> None:
    machine = _registered(_machine())
    machine.notified(event, 10, 0.0)
    deadline = machine.next_deadline()
    assert deadline is not None
    assert deadline >= 10 + 15


def test_back_off_doubles_from_30_s_to_1800_s_with_jitter_r14() -> None:
    machine = _machine()
    request, now, windows = _start(machine), 0.0, []
    for _ in range(9):
        machine.receive(_respond(request, 480), now)
        deadline = machine.next_deadline()
        assert deadline is not None
        windows.append(deadline - now)
        now = deadline
        request = _request(machine.handle_deadline(now))
    for number, delay in enumerate(windows):
        window = min(1800, 30 * 2**number)
        assert window / 2 <= delay <= window
    assert len({round(d / min(1800, 30 * 2**n), 6) for n, d in enumerate(windows)}) > 1


def test_retry_after_wins_over_the_back_off() -> None:
    machine = _machine()
    outputs = machine.receive(_respond(_start(machine), 503, ("Retry-After", "700")), 5)
    assert machine.next_deadline() == 705
    assert outputs == [Unregistered("503 Service Unavailable", 705)]


def test_a_retry_after_of_0_does_not_make_a_storm() -> None:
    machine = _machine()
    machine.receive(_respond(_start(machine), 503, ("Retry-After", "0")), 5)
    deadline = machine.next_deadline()
    assert deadline is not None
    assert deadline >= 5 + 15, "the back-off holds"


def test_403_triggers_one_new_configuration_query_r15() -> None:
    machine = _machine()
    outputs = machine.receive(_respond(_start(machine), 403), 0)
    assert ConfigurationStale() in outputs
    assert machine.state is RegistrationState.REFUSED
    outputs = machine.receive(_respond(_start(machine, 1), 403), 1)
    assert ConfigurationStale() not in outputs
    assert any(isinstance(each, Unregistered) for each in outputs)


def test_after_three_refused_answers_the_phone_stops() -> None:
    machine = _machine()
    request = _start(machine)
    answers = 0
    while machine.state is not RegistrationState.REFUSED:
        outputs = machine.receive(_challenge(request, DigestChallenge(_HOME, f"n{answers}", MD5)), 0)
        sent = [each for each in outputs if isinstance(each, SendRegister)]
        answers += len(sent)
        request = sent[0].request if sent else request
    assert answers == 3


def test_endless_stale_challenges_come_to_an_end() -> None:
    machine = _machine()
    request = _start(machine)
    for number in range(20):
        outputs = machine.receive(_challenge(request, DigestChallenge(_HOME, f"n{number}", MD5, stale=True)), 0)
        if machine.state is RegistrationState.REFUSED:
            return
        request = _request(outputs)
    pytest.fail("it went on for ever")


@pytest.mark.parametrize("status", [302, 305])
def test_a_redirection_is_followed_once(status: int) -> None:
    machine = _machine()
    outputs = machine.receive(_respond(_start(machine), status, ("Contact", "<sip:127.0.1.99>")), 0)
    sent = outputs[-1]
    assert isinstance(sent, SendRegister)
    assert str(sent.target) == "sip:127.0.1.99"
    machine.receive(_respond(sent.request, status, ("Contact", "<sip:127.0.1.98>")), 0)
    assert machine.state is RegistrationState.WAITING


def test_a_lost_flow_makes_a_new_initial_registration() -> None:
    machine = _registered(_machine())
    outputs = machine.flow_lost(50)
    assert isinstance(outputs[0], Unregistered)
    assert _request(outputs).text("Expires") == "600000"
    assert machine.binding is None


def test_a_refused_refresh_keeps_the_binding_and_an_unanswered_one_does_not() -> None:
    machine = _registered(_machine())
    request = _request(machine.handle_deadline(3000))
    assert machine.receive(_respond(request, 500), 3000) == []
    assert machine.binding is not None
    machine = _registered(_machine())
    machine.handle_deadline(3000)
    outputs = machine.receive(None, 3128)
    assert isinstance(outputs[0], Unregistered)
    assert machine.binding is None


def test_a_200_without_the_own_contact_is_no_registration() -> None:
    machine = _machine()
    machine.receive(_respond(_start(machine), 200, ("Contact", "<sip:other@192.0.2.99>;expires=60")), 0)
    assert machine.state is RegistrationState.WAITING


_K, _OPC = Secret.of_hex("465b5ce8b199b49faa5f0a2ee238a6bc"), Secret.of_hex("cd63cb71954a9f4e48a5994e37a02baf")
_AKA = replace(_CONFIGURATION, auth_type=AuthType.AKA, password=None)


def _aka_challenge(centre: AuthenticationCentre, rand: bytes) -> DigestChallenge:
    return DigestChallenge(_HOME, centre.generate(_IMPI, rand).nonce, AKAV1_MD5)


def test_aka_is_answered_with_res() -> None:
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(_K, _OPC))
    machine = _machine(configuration=_AKA, usim=Usim(_K, _OPC))
    first = _start(machine)
    assert _credentials(first).algorithm == AKAV1_MD5
    vector = centre.generate(_IMPI, bytes(16))
    answer = _request(machine.receive(_challenge(first, DigestChallenge(_HOME, vector.nonce, AKAV1_MD5)), 0))
    ha1 = compute_ha1(AKAV1_MD5, _IMPI, _HOME, vector.password(AKAV1_MD5))
    assert is_authentic(_credentials(answer), ha1, "REGISTER")


def test_auts_is_sent_on_sequence_failure_and_registration_then_succeeds_r05() -> None:
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(_K, _OPC))
    machine = _machine(configuration=_AKA, usim=Usim(_K, _OPC, sqn=1 << 20))
    first = _start(machine)
    resync = _request(machine.receive(_challenge(first, _aka_challenge(centre, bytes(16))), 0))
    auts = base64.b64decode(_credentials(resync).auts or "")
    assert centre.resynchronise(_IMPI, bytes(16), auts)
    vector = centre.generate(_IMPI, b"\x01" * 16)
    answer = _request(machine.receive(_challenge(resync, DigestChallenge(_HOME, vector.nonce, AKAV1_MD5)), 0))
    ha1 = compute_ha1(AKAV1_MD5, _IMPI, _HOME, vector.password(AKAV1_MD5))
    assert is_authentic(_credentials(answer), ha1, "REGISTER")
    assert isinstance(machine.receive(_ok(answer), 0)[0], Registered)


def test_a_false_network_gets_an_empty_response_without_auts() -> None:
    machine = _machine(configuration=_AKA, usim=Usim(_K, _OPC))
    nonce = base64.b64encode(bytes(32)).decode()
    answer = _request(machine.receive(_challenge(_start(machine), DigestChallenge(_HOME, nonce, AKAV1_MD5)), 0))
    assert (_credentials(answer).response, _credentials(answer).auts) == ("", None)


def test_security_verify_repeats_security_server_and_494_starts_anew_r16() -> None:
    machine = _machine(RegistrationPolicy(offers_security_agreement=True), _AKA, Usim(_K, _OPC))
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(_K, _OPC))
    first = _start(machine)
    assert first.text("Security-Client")
    assert first.text("Require") == first.text("Proxy-Require") == "sec-agree"
    server = (
        "ipsec-3gpp;q=0.5;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=1;spi-s=2;port-c=5062;port-s=5063"
    )
    challenge = str(_aka_challenge(centre, bytes(16)))
    second = _request(
        machine.receive(_respond(first, 401, ("WWW-Authenticate", challenge), ("Security-Server", server)), 0)
    )
    assert second.text("Security-Verify") == server
    assert second.text("Security-Client") == first.text("Security-Client")
    third = _request(machine.receive(_respond(second, 494), 0))
    assert not third.has("Security-Verify")
    assert third.text("Security-Client") != first.text("Security-Client")
    assert _credentials(third).nonce == ""


def _agreed(centre: AuthenticationCentre, machine: Registration, server: str) -> Request:
    """Registers with *server* as Security-Server; the REGISTER that was granted."""
    challenge = str(_aka_challenge(centre, bytes(16)))
    first = _start(machine)
    answer = _respond(first, 401, ("WWW-Authenticate", challenge), ("Security-Server", server))
    second = _request(machine.receive(answer, 0))
    machine.receive(_ok(second), 0)
    return second


def test_a_refresh_offers_new_spis_and_verifies_the_agreement_in_force_r16() -> None:
    machine = _machine(RegistrationPolicy(offers_security_agreement=True), _AKA, Usim(_K, _OPC))
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(_K, _OPC))
    granted = _agreed(centre, machine, "ipsec-3gpp;spi-c=1;spi-s=2")
    due = machine.next_deadline()
    assert due is not None
    refresh = _request(machine.handle_deadline(due))
    assert refresh.text("Security-Verify") == "ipsec-3gpp;spi-c=1;spi-s=2"
    assert refresh.text("Security-Client") != granted.text("Security-Client")
    assert dict(machine.security_headers())["Security-Verify"] == "ipsec-3gpp;spi-c=1;spi-s=2"


@pytest.mark.parametrize("is_flow_lost", [True, False])
def test_a_registration_anew_has_forgotten_the_old_agreement_r16(is_flow_lost: bool) -> None:
    machine = _machine(RegistrationPolicy(offers_security_agreement=True), _AKA, Usim(_K, _OPC))
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(_K, _OPC))
    granted = _agreed(centre, machine, "ipsec-3gpp;spi-c=1;spi-s=2")
    anew = _request(machine.flow_lost(10) if is_flow_lost else machine.notified("deactivated", 10))
    assert not anew.has("Security-Verify")
    assert anew.text("Security-Client") != granted.text("Security-Client")
    assert _credentials(anew).nonce == ""


_LINEAGE = RegistrationPolicy(
    sends_instance_id=False,
    offers_outbound=False,
    offers_gruu=False,
    sends_allow=False,
    sends_proxy_route=False,
    access_network_info=None,
    new_from_tag_with_credentials=True,
    echoes_opaque=False,
    copies_qop_verbatim=True,
    deregisters_in_new_call=True,
    deregisters_bare_contact=True,
)


def test_a_lineage_like_phone_answers_with_a_new_from_tag_and_without_opaque_row_3() -> None:
    machine = _machine(_LINEAGE)
    first = _start(machine)
    assert "+sip.instance" not in (first.text("Contact") or "")
    assert not first.has("Allow")
    assert not first.has("P-Access-Network-Info")
    second = _request(machine.receive(_challenge(first, DigestChallenge(_HOME, _NONCE, MD5, opaque="keep me")), 0))
    assert second.call_id == first.call_id
    assert second.text("From") != first.text("From")
    assert _credentials(second).opaque is None


def test_a_lineage_like_phone_copies_a_qop_list_and_so_breaks_it_row_3() -> None:
    machine = _machine(_LINEAGE)
    challenge = DigestChallenge(_HOME, _NONCE, MD5, ("auth", "auth-int"))
    second = _request(machine.receive(_challenge(_start(machine), challenge), 0))
    assert "qop=auth,auth-int" in (second.text("Authorization") or "")


def test_a_lineage_like_phone_leaves_with_a_new_call_id_bare_contact_and_nc_2_row_5() -> None:
    machine = _machine(_LINEAGE)
    first = _start(machine)
    second = _request(machine.receive(_challenge(first), 0))
    machine.receive(_respond(second, 200, ("Contact", f"<{_CONTACT}>;expires=3600")), 0)
    last = _request(machine.stop(5))
    assert last.call_id != first.call_id
    assert last.text("Contact") == f"<{_CONTACT}>"
    assert (_credentials(last).nc, _credentials(last).nonce) == ("00000002", _NONCE)

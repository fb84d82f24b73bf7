"""REGISTER in table 15.3 of the digest, and RFC 3261 §10.3."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.cx import DeregistrationReason
from ims_core.nodes.decision import Answer, Defer, Delete, Put, Reject
from ims_core.nodes.registrar import TellServers
from ims_core.nodes.registration_state import RegistrationState
from ims_core.store.bindings import BINDINGS
from ims_core.wire.digest import SHA_256, DigestClient, DigestCredentials, parse_challenges
from ims_core.wire.sip.headers import Contact, To
from tests.support.core_cases import NOW, answer_of, make_request, status_of
from tests.support.scscf_bench import ALICE, CAROL, HOME, INSTANCE, TAGS, USIM, ScscfBench

BARE = "<sip:carol@192.0.2.30:5060>"


def telling(answer: Answer) -> list[TellServers]:
    return [action for action in answer.actions if isinstance(action, TellServers)]


# --- authentication --------------------------------------------------------------------------------------------------


def test_the_first_register_is_challenged_with_one_algorithm_and_one_qop() -> None:
    challenge = ScscfBench().challenge(ALICE)
    assert (challenge.realm, challenge.qop, challenge.opaque) == (HOME, ("auth",), None)
    assert challenge.hash_algorithm.name == "MD5"
    assert not challenge.stale


def test_a_register_without_any_authorization_is_challenged_too() -> None:
    bench = ScscfBench()
    request = bench.register_request(CAROL, None, contact=BARE)
    assert answer_of(bench.registrar.register(request, NOW)).status == 401


def test_a_first_register_that_comes_again_costs_no_transaction_and_gets_the_same_tag() -> None:
    bench = ScscfBench()
    request = bench.register_request(CAROL, None, contact=BARE)
    first, again = bench.registrar.register(request, NOW), bench.registrar.register(request, NOW)
    other = bench.registrar.register(bench.register_request(CAROL, None, contact=BARE, call_id="another"), NOW)
    tags = []
    for decision in (first, again, other):
        assert isinstance(decision, Answer)
        assert decision.is_stateless
        tags.append(decision.response.require(To).tag)
    assert tags[0] == tags[1] != tags[2]


def test_challenges_that_cost_something_and_answers_have_a_transaction() -> None:
    bench = ScscfBench()
    aka = bench.registrar.register(bench.register_request(USIM, None, contact=BARE), NOW)
    wrong = bench.credentials(DigestClient(bench.challenge(ALICE), ALICE.impi, "wrong"))
    refused = bench.registrar.register(bench.register_request(ALICE, wrong, contact=BARE), NOW)
    accepted = bench.registrar.register(
        bench.register_request(ALICE, bench.credentials(bench.client(ALICE)), contact=BARE), NOW
    )
    for decision, status in ((aka, 401), (refused, 401), (accepted, 200)):
        assert isinstance(decision, Answer)
        assert decision.response.status == status
        assert not decision.is_stateless


def test_right_credentials_are_answered_with_what_the_registration_consists_of() -> None:
    response, _ = ScscfBench().register()
    assert response.status == 200
    contact = response.require(Contact)
    assert contact.expires == 3600
    assert contact.instance == INSTANCE
    assert contact.reg_id == 1
    assert contact.params.get("pub-gruu") == f"sip:+12025550101@home.test;gr={INSTANCE}"
    assert response.text("Require") == "outbound"
    assert response.text("Path") == "<sip:token@127.0.1.10:5060;lr;ob>"
    assert response.text("Service-Route") == "<sip:orig@127.0.1.12:5060;transport=tcp;lr>"
    assert response.text("P-Associated-URI") == "<sip:+12025550101@home.test>, <tel:+12025550101>"
    assert "rspauth=" in (response.text("Authentication-Info") or "")


def test_a_nonce_serves_again_with_a_higher_count_and_another_call_id() -> None:
    bench = ScscfBench()
    client = bench.client(ALICE)
    assert bench.register(client=client)[0].status == 200
    response, _ = bench.register(client=client, call_id="another", now=NOW + 3000)
    assert response.status == 200


def test_a_replayed_count_is_stale_and_a_forgotten_nonce_too() -> None:
    bench = ScscfBench()
    credentials = bench.credentials(bench.client(ALICE))
    request = bench.register_request(ALICE, credentials, contact=BARE)
    assert answer_of(bench.registrar.register(request, NOW)).status == 200
    for now in (NOW + 1, NOW + 100_000):
        again = answer_of(bench.registrar.register(request, now))
        assert again.status == 401
        assert parse_challenges(again.texts("WWW-Authenticate"))[0].stale


def test_wrong_credentials_are_challenged_twice_and_refused_the_third_time() -> None:
    bench = ScscfBench()
    statuses = []
    for _ in range(3):
        wrong = bench.credentials(DigestClient(bench.challenge(ALICE), ALICE.impi, "guess"))
        statuses.append(status_of(bench.registrar.register(bench.register_request(ALICE, wrong, contact=BARE), NOW)))
    assert statuses == [401, 401, 403]


def test_tries_are_forgotten_when_the_challenge_is_too_old() -> None:
    bench = ScscfBench()
    for round_ in range(4):
        now = NOW + round_ * 300
        wrong = bench.credentials(DigestClient(bench.challenge(ALICE, now=now), ALICE.impi, "guess"))
        request = bench.register_request(ALICE, wrong, contact=BARE)
        assert status_of(bench.registrar.register(request, now)) == 401


def test_another_realm_algorithm_or_identity_does_not_pass() -> None:
    bench = ScscfBench()
    good = bench.credentials(bench.client(ALICE))
    for wrong in (replace(good, realm="other.test"), replace(good, algorithm=SHA_256), replace(good, nonce="0" * 32)):
        request = bench.register_request(ALICE, wrong, contact=BARE)
        assert status_of(bench.registrar.register(request, NOW)) in (401, 403)
    for_carol = bench.register_request(CAROL, good, contact=BARE)
    assert status_of(bench.registrar.register(for_carol, NOW)) == 403


def test_an_unknown_user_is_404_a_barred_one_403_and_a_silent_hss_480() -> None:
    bench = ScscfBench()
    stranger = make_request("REGISTER", f"sip:{HOME}", to="sip:nobody@home.test")
    assert status_of(bench.registrar.register(stranger, NOW)) == 404
    bench.hss.is_up = False
    assert status_of(bench.registrar.register(stranger, NOW)) == 480
    bench.hss.is_up = True
    bench.hss.bar(CAROL.impi)
    assert status_of(bench.registrar.register(bench.register_request(CAROL, None, contact=BARE), NOW)) == 403


def test_malformed_credentials_are_400_and_another_scheme_is_challenged() -> None:
    bench = ScscfBench()
    for text, status in (("Digest username", 400), ('Digest realm="x"', 400), ("Bearer abc", 401)):
        request = bench.register_request(CAROL, None, ("Authorization", text), contact=BARE)
        assert status_of(bench.registrar.register(request, NOW)) == status, text


def test_what_a_registrar_does_not_know_but_must_is_420() -> None:
    bench = ScscfBench()
    request = bench.register_request(CAROL, None, ("Require", "path, warp"), contact=BARE)
    assert bench.registrar.register(request, NOW) == Reject(420, headers=(("Unsupported", "warp"),))


# --- bindings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "headers", "seconds"),
    [
        (f"{BARE};expires=600", (), 600),
        (f"{BARE};expires=600000", (), 3600),
        (BARE, (("Expires", "120"),), 120),
        (BARE, (), 3600),
        (f"{BARE};expires=60", (("Expires", "9"),), 60),
    ],
)
def test_a_lifetime_is_granted(contact: str, headers: tuple[tuple[str, str], ...], seconds: int) -> None:
    response, _ = ScscfBench().register(CAROL, *headers, contact=contact)
    assert response.require(Contact).expires == seconds


def test_a_lifetime_below_a_minute_is_423_with_min_expires() -> None:
    bench = ScscfBench()
    credentials = bench.credentials(bench.client(CAROL))
    request = bench.register_request(CAROL, credentials, contact=f"{BARE};expires=59")
    assert bench.registrar.register(request, NOW) == Reject(423, headers=(("Min-Expires", "60"),))


def test_a_second_instance_is_a_second_binding_and_the_same_one_moves() -> None:
    bench = ScscfBench()
    for contact, count in (
        ('<sip:a@192.0.2.1>;+sip.instance="<urn:uuid:1>";reg-id=1', 1),
        ('<sip:a@192.0.2.2>;+sip.instance="<urn:uuid:2>";reg-id=1', 2),
        ('<sip:a@192.0.2.9>;+sip.instance="<urn:uuid:1>";reg-id=1', 2),  # came back under another address
        ('<sip:a@192.0.2.9>;+sip.instance="<urn:uuid:1>";reg-id=2', 2),  # the same contact by another flow
        ("<sip:a@192.0.2.5>", 3),
    ):
        response, _ = bench.register(contact=contact)
        assert len(response.texts("Contact")) == count, contact


def test_reg_id_counts_only_where_the_whole_way_supports_outbound() -> None:
    bench = ScscfBench()
    response, _ = bench.register(CAROL, contact=f"{BARE};reg-id=1")
    assert not response.has("Require")
    assert response.require(Contact).reg_id is None


def test_deregistration_takes_its_own_binding_only() -> None:
    bench = ScscfBench()
    one, two = '<sip:a@192.0.2.1>;+sip.instance="<urn:uuid:1>"', '<sip:a@192.0.2.2>;+sip.instance="<urn:uuid:2>"'
    bench.register(contact=one)
    bench.register(contact=two)
    response, _ = bench.register(contact=f"{one};expires=0")
    assert [each.instance for each in response.get_all(Contact)] == ["urn:uuid:2"]
    response, _ = bench.register(contact="<sip:A@192.0.2.2>;expires=0")  # another user part is another address
    assert len(response.texts("Contact")) == 1
    response, _ = bench.register(contact="<sip:a@192.0.2.2>;expires=0")  # bare, as some clients leave
    assert not response.has("Contact")
    assert not response.has("Service-Route")


def test_a_star_takes_all_and_needs_expires_0() -> None:
    bench = ScscfBench()
    bench.register(contact="<sip:a@192.0.2.1>")
    bench.register(contact="<sip:a@192.0.2.2>")
    client = bench.client(ALICE)
    for headers in ((), (("Expires", "60"),)):
        request = bench.register_request(ALICE, bench.credentials(client), *headers, contact="*")
        assert status_of(bench.registrar.register(request, NOW)) == 400
    response, _ = bench.register(ALICE, ("Expires", "0"), contact="*", client=client)
    assert not response.has("Contact")


def test_a_register_without_contact_asks_for_the_bindings() -> None:
    bench = ScscfBench()
    bench.register(CAROL, contact=BARE)
    credentials = bench.credentials(bench.client(CAROL, now=NOW + 600))
    request = bench.register_request(CAROL, credentials, contact=BARE).edit().remove("Contact").done()
    response = answer_of(bench.registrar.register(request, NOW + 600))
    assert response.require(Contact).expires == 3000


def test_an_older_cseq_of_the_same_call_is_500_and_changes_nothing() -> None:
    bench = ScscfBench()
    client = bench.client(CAROL)
    bench.register(CAROL, contact=BARE, client=client)
    bench.cseq -= 1
    credentials = bench.credentials(client)
    request = bench.register_request(CAROL, credentials, contact=f"{BARE};expires=0")
    assert status_of(bench.registrar.register(request, NOW)) == 500
    assert bench.registrar.users.get("sip:carol@home.test").is_registered


def test_contacts_of_one_user_are_bounded() -> None:
    bench = ScscfBench(max_bindings=2)
    for number in range(2):
        bench.register(contact=f"<sip:a@192.0.2.{number}>")
    credentials = bench.credentials(bench.client(ALICE))
    request = bench.register_request(ALICE, credentials, contact="<sip:a@192.0.2.9>")
    assert status_of(bench.registrar.register(request, NOW)) == 403
    many = ", ".join(f"<sip:a@192.0.2.{number}>" for number in range(9))
    credentials = bench.credentials(bench.client(ALICE))
    assert status_of(bench.registrar.register(bench.register_request(ALICE, credentials, contact=many), NOW)) == 400


def test_tags_are_kept_without_the_instance_and_shared_between_phones() -> None:
    bench = ScscfBench()
    bench.register(contact=f'<sip:a@192.0.2.1>;+sip.instance="<urn:uuid:1>"{TAGS};q=0.5;expires=600')
    bench.register(contact=f'<sip:a@192.0.2.2>;+sip.instance="<urn:uuid:2>"{TAGS}')
    user = bench.registrar.users.get("tel:+12025550101")
    assert user is not None
    one, two = user.bindings
    assert one.tags == TAGS
    assert one.tags is two.tags
    assert (one.q, two.q) == (500, 1000)
    assert one.features().has("+g.3gpp.smsip")


# --- what follows ----------------------------------------------------------------------------------------------------


def test_servers_are_told_of_every_change_also_when_the_tags_are_lost() -> None:
    bench = ScscfBench()
    names = []
    for contact in (f"<sip:a@192.0.2.1>{TAGS}", f"<sip:a@192.0.2.1>{TAGS}", "<sip:a@192.0.2.1>", "<sip:a@192.0.2.1>"):
        _, answer = bench.register(contact=contact)
        names.append([criterion.name for action in telling(answer) for criterion in action.criteria])
    both = ["reg-sms", "reg-rcs"]
    assert names == [both, both, both, []]
    _, answer = bench.register(contact=f"<sip:a@192.0.2.1>{TAGS}")
    (told,) = telling(answer)
    assert (told.expires_s, told.answer is answer.response) == (3600, True)
    _, answer = bench.register(contact="<sip:a@192.0.2.1>;expires=0")
    (told,) = telling(answer)
    assert told.expires_s == 0


def test_the_hss_learns_of_the_first_and_the_last_binding() -> None:
    bench = ScscfBench()
    for contact, is_registered in ((BARE, True), (f"{BARE};expires=0", False)):
        bench.register(CAROL, contact=contact)
        user = bench.hss.user_by_impi(CAROL.impi)
        assert user is not None
        assert user.is_registered is is_registered


def test_expiry_ends_the_registration_and_tells_who_was_told() -> None:
    bench = ScscfBench()
    bench.register()
    assert bench.registrar.handle_deadline(NOW + 3599) == ((), ())
    actions, writes = bench.registrar.handle_deadline(NOW + 3600)
    (told,) = actions
    assert isinstance(told, TellServers)
    assert (told.expires_s, writes) == (0, ())
    user = bench.registrar.users.get("tel:+12025550101")
    assert user is not None
    assert user.state is RegistrationState.NOT_REGISTERED
    assert bench.registrar.deadlines.next_deadline() is None


def test_one_expired_device_leaves_the_others_and_their_time() -> None:
    bench = ScscfBench()
    bench.register(contact=f'<sip:a@192.0.2.1>;+sip.instance="<urn:uuid:1>"{TAGS};expires=60')
    bench.register(contact=f'<sip:a@192.0.2.2>;+sip.instance="<urn:uuid:2>"{TAGS}')
    ((told,), _) = bench.registrar.handle_deadline(NOW + 61)
    assert isinstance(told, TellServers)
    assert told.expires_s == 3539


def test_the_network_can_end_a_registration() -> None:
    bench = ScscfBench()
    bench.register()
    user = bench.registrar.users.get("tel:+12025550101")
    assert user is not None
    actions, _ = bench.registrar.deregister(user, DeregistrationReason.REJECTED, NOW)
    assert [type(action) for action in actions] == [TellServers]
    assert not user.is_registered
    assert bench.registrar.deregister(user, DeregistrationReason.REJECTED, NOW)[0] == ()


def test_a_failed_flow_drops_its_binding_once() -> None:
    bench = ScscfBench()
    bench.register()
    user = bench.registrar.users.get("tel:+12025550101")
    assert user is not None
    (binding,) = user.bindings
    actions, _ = bench.registrar.flow_failed(user, binding, NOW)
    assert len(actions) == 1
    assert bench.registrar.flow_failed(user, binding, NOW) == ((), ())


# --- store -----------------------------------------------------------------------------------------------------------


def test_the_200_waits_for_the_store() -> None:
    bench = ScscfBench(is_durable=True)
    credentials = bench.credentials(bench.client(CAROL))
    decision = bench.registrar.register(bench.register_request(CAROL, credentials, contact=BARE), NOW)
    assert isinstance(decision, Defer)
    (put,) = decision.writes
    assert isinstance(put, Put)
    assert put.table is BINDINGS
    assert answer_of(decision.then).status == 200
    client = bench.client(CAROL)
    leaving = bench.register_request(CAROL, bench.credentials(client), contact=f"{BARE};expires=0")
    decision = bench.registrar.register(leaving, NOW)
    assert isinstance(decision, Defer)
    assert isinstance(decision.writes[0], Delete)


def test_a_stored_binding_is_taken_in_again_unless_it_ran_out_or_its_user_left() -> None:
    bench = ScscfBench(is_durable=True)
    credentials = bench.credentials(bench.client(CAROL))
    decision = bench.registrar.register(bench.register_request(CAROL, credentials, contact=BARE), NOW)
    assert isinstance(decision, Defer)
    (put,) = decision.writes
    assert isinstance(put, Put)
    record = put.record
    again = ScscfBench()
    assert again.registrar.restore(record, NOW + 10)
    assert not again.registrar.restore(record, NOW + 10)
    assert not ScscfBench().registrar.restore(record, NOW + 3600)
    stranger = replace(record, owner="sip:nobody@home.test")
    assert not again.registrar.restore(stranger, NOW)
    response, _ = again.register(CAROL, contact=f"{BARE};expires=0", call_id="new")
    assert not response.has("Contact")


def test_a_first_register_tells_the_impi_only() -> None:
    empty = DigestCredentials(ALICE.impi, HOME, f"sip:{HOME}")
    assert not empty.is_answer

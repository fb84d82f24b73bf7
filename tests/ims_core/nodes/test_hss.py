from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.cx import AssignmentType, CxResult, DeregistrationReason, UserProfile
from ims_core.nodes.default_criteria import messaging_profile
from ims_core.nodes.hss import Hss, HssConfig, SubscriberError
from ims_core.service_profile import ServiceProfile
from ims_core.store.memory import MemoryStore
from ims_core.store.subscribers import AuthenticationScheme, Subscriber
from ims_core.transport.tokens import Tokens
from ims_core.wire.digest import MD5, SHA_256, compute_ha1
from ims_core.wire.secret import Secret

HOME = "home.test"
K = Secret(bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc"))
OPC = Secret(bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf"))
ALICE = Subscriber(
    impi="001010000000101@home.test",
    implicit_sets=(("sip:+12025550101@home.test", "tel:+12025550101"), ("sip:work@home.test",)),
    msisdn="+12025550101",
    imsi="001010000000101",
    password=Secret.of_text("lab-secret-A"),
)
CAROL = Subscriber(
    impi="carol@home.test",
    implicit_sets=(("sip:carol@home.test",),),
    password=Secret.of_text("pw"),
    service_profile="sip",
    scheme=AuthenticationScheme.DIGEST_SHA_256,
)
USIM = Subscriber(
    impi="usim@home.test",
    implicit_sets=(("sip:usim@home.test",),),
    scheme=AuthenticationScheme.AKA_V1_MD5,
    k=K,
    opc=OPC,
)
KEY = "tel:+12025550101"


class Observer:
    """The S-CSCF's end of Cx."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, DeregistrationReason]] = []
        self.profiles: list[UserProfile] = []

    def registration_termination(self, impu: str, reason: DeregistrationReason) -> bool:
        self.ended.append((impu, reason))
        return True

    def push_profile(self, profile: UserProfile) -> None:
        self.profiles.append(profile)


def make_hss(*subscribers: Subscriber, store: MemoryStore | None = None) -> Hss:
    config = HssConfig(
        home_domain=HOME,
        scscf="sip:scscf.home.test",
        profiles={
            "rcs": messaging_profile("rcs", HOME, messaging_server="sip:rcsas.home.test"),
            "sip": ServiceProfile("sip"),
        },
        subscribers=subscribers or (ALICE, CAROL, USIM),
        service_identities={"focus.home.test": "sip:focus", "sip:conference-factory@home.test": "sip:focus"},
    )
    return Hss(config, tokens=Tokens("hss"), store=store)


# --- Cx --------------------------------------------------------------------------------------------------------------


def test_uar_knows_first_and_later_registrations() -> None:
    hss = make_hss()
    answer = hss.user_authorization(ALICE.impi, KEY, HOME)
    assert (answer.result, answer.scscf, answer.impi) == (
        CxResult.FIRST_REGISTRATION,
        "sip:scscf.home.test",
        ALICE.impi,
    )
    hss.server_assignment(KEY, AssignmentType.REGISTRATION, "s")
    assert hss.user_authorization(ALICE.impi, KEY, HOME).result is CxResult.SUBSEQUENT_REGISTRATION


@pytest.mark.parametrize(
    ("impi", "key", "result"),
    [
        ("nobody@home.test", KEY, CxResult.IDENTITIES_DONT_MATCH),
        ("carol@home.test", KEY, CxResult.IDENTITIES_DONT_MATCH),
        (ALICE.impi, "sip:nobody@home.test", CxResult.USER_UNKNOWN),
        (None, "sip:carol@home.test", CxResult.FIRST_REGISTRATION),
        ("", "sip:carol@home.test", CxResult.FIRST_REGISTRATION),
        ("carol", "sip:carol@home.test", CxResult.FIRST_REGISTRATION),  # a SIP client without a realm in its name
    ],
)
def test_uar_judges_the_pair(impi: str | None, key: str, result: CxResult) -> None:
    assert make_hss().user_authorization(impi, key, HOME).result is result


def test_roamers_and_barred_users_may_not_register() -> None:
    hss = make_hss()
    assert hss.user_authorization(ALICE.impi, KEY, "visited.test").result is CxResult.ROAMING_NOT_ALLOWED
    hss.bar(ALICE.impi)
    assert hss.user_authorization(ALICE.impi, KEY, HOME).result is CxResult.AUTHORIZATION_REJECTED
    assert hss.multimedia_auth(ALICE.impi, KEY, ALICE.impi).result is CxResult.AUTHORIZATION_REJECTED
    assert hss.location_info(KEY).result is CxResult.USER_UNKNOWN
    hss.bar(ALICE.impi, False)
    assert hss.location_info(KEY).result.is_success


def test_mar_gives_ha1_of_the_subscribers_algorithm() -> None:
    hss = make_hss()
    answer = hss.multimedia_auth(ALICE.impi, KEY, ALICE.impi)
    assert answer.ha1 == Secret.of_text(compute_ha1(MD5, ALICE.impi, HOME, "lab-secret-A"))
    assert (answer.realm, answer.scheme) == (HOME, AuthenticationScheme.DIGEST_MD5)
    answer = hss.multimedia_auth("carol", "sip:carol@home.test", "carol")
    assert answer.ha1 == Secret.of_text(compute_ha1(SHA_256, "carol", HOME, "pw"))


def test_mar_without_a_user_name_gives_ha1_of_the_impi_and_takes_none_away() -> None:
    hss = make_hss()
    unnamed = hss.multimedia_auth(None, KEY, None)
    assert unnamed.realm == HOME
    assert hss.multimedia_auth(ALICE.impi, KEY, ALICE.impi).ha1 == unnamed.ha1
    by_name = hss.multimedia_auth("carol", "sip:carol@home.test", "carol")
    assert hss.multimedia_auth(None, "sip:carol@home.test", None).ha1 == by_name.ha1


def test_ha1_follows_the_user_name_and_a_new_password() -> None:
    hss = make_hss()
    by_impi = hss.multimedia_auth("carol@home.test", "sip:carol@home.test", "carol@home.test").ha1
    assert hss.multimedia_auth("carol", "sip:carol@home.test", "carol").ha1 != by_impi
    hss.update(replace(CAROL, password=Secret.of_text("new")))
    answer = hss.multimedia_auth("carol", "sip:carol@home.test", "carol")
    assert answer.ha1 == Secret.of_text(compute_ha1(SHA_256, "carol", HOME, "new"))


def test_mar_gives_a_stored_ha1_as_it_is() -> None:
    stored = replace(CAROL, password=None, ha1=Secret.of_text("0" * 64))
    assert make_hss(stored).multimedia_auth("carol@home.test", "sip:carol@home.test", "x").ha1 == stored.ha1


def test_mar_gives_aka_vectors_with_growing_sequence_numbers() -> None:
    hss = make_hss()
    first = hss.multimedia_auth(USIM.impi, "sip:usim@home.test", USIM.impi)
    second = hss.multimedia_auth(USIM.impi, "sip:usim@home.test", USIM.impi)
    assert first.vector is not None
    assert second.vector is not None
    assert first.vector.nonce != second.vector.nonce
    assert first.changed is not None
    assert second.changed is not None
    assert (first.changed.sqn, second.changed.sqn) == (32, 64)


def test_a_false_auts_is_rejected() -> None:
    answer = make_hss().multimedia_auth(USIM.impi, "sip:usim@home.test", USIM.impi, resync=(bytes(16), bytes(14)))
    assert answer.result is CxResult.AUTHORIZATION_REJECTED


def test_saa_has_the_implicit_set_and_the_profile() -> None:
    hss = make_hss()
    profile = hss.server_assignment(KEY, AssignmentType.NO_ASSIGNMENT, "s").profile
    assert profile is not None
    assert profile.impus == ALICE.implicit_sets[0]
    assert profile.keys == (KEY,)
    assert profile.service_profile.name == "rcs"
    assert "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg" in profile.services
    assert hss.server_assignment("sip:x@y", AssignmentType.REGISTRATION, "s").result is CxResult.USER_UNKNOWN
    own = make_hss(replace(ALICE, services=("urn:x",)))
    profile = own.server_assignment(KEY, AssignmentType.NO_ASSIGNMENT, "s").profile
    assert profile is not None
    assert profile.services == {"urn:x"}


def test_lia_names_the_scscf_for_the_registered_and_where_unregistered_services_are() -> None:
    hss = make_hss()
    assert hss.location_info(KEY).result is CxResult.UNREGISTERED_SERVICE
    assert hss.location_info("sip:carol@home.test").result is CxResult.IDENTITY_NOT_REGISTERED
    assert hss.location_info("sip:nobody@home.test").result is CxResult.USER_UNKNOWN
    hss.server_assignment("sip:carol@home.test", AssignmentType.REGISTRATION, "s")
    assert hss.location_info("sip:carol@home.test").scscf == "sip:scscf.home.test"


def test_lia_names_the_server_of_a_service_by_host_or_by_identity() -> None:
    hss = make_hss()
    for key in ("sip:group7@focus.home.test", "sip:focus.home.test", "sip:conference-factory@home.test"):
        assert hss.location_info(key).as_uri == "sip:focus", key


def test_an_hss_that_is_down_complies_with_nothing() -> None:
    hss = make_hss()
    hss.is_up = False
    assert hss.user_authorization(ALICE.impi, KEY, HOME).result is CxResult.UNABLE_TO_COMPLY
    assert hss.multimedia_auth(ALICE.impi, KEY, "").result is CxResult.UNABLE_TO_COMPLY
    assert hss.server_assignment(KEY, AssignmentType.REGISTRATION, "s").result is CxResult.UNABLE_TO_COMPLY
    assert hss.location_info(KEY).result is CxResult.UNABLE_TO_COMPLY


def test_barring_ends_the_registration_and_a_new_profile_is_pushed() -> None:
    hss, observer = make_hss(), Observer()
    hss.observe(observer)
    hss.bar(ALICE.impi)
    assert [impu for impu, _ in observer.ended] == ["sip:+12025550101@home.test", "sip:work@home.test"]
    hss.update(replace(ALICE, services=()))
    assert [profile.services for profile in observer.profiles] == [frozenset(), frozenset()]
    assert hss.deregister("tel:+12025550101", DeregistrationReason.PROBATION)
    hss.forget_observer(observer)
    assert not hss.deregister("tel:+12025550101", DeregistrationReason.PROBATION)


# --- provisioning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subscriber", "word"),
    [
        (replace(CAROL, service_profile="gold"), "gold"),
        (replace(CAROL, password=None), "password"),
        (replace(USIM, k=None), "AKA needs k"),
        (replace(CAROL, implicit_sets=((),)), "implicit registration set"),
        (replace(CAROL, implicit_sets=(("tel:911",),)), "implicit registration set"),
        (replace(CAROL, impi="other@home.test"), "belongs to carol"),
    ],
)
def test_a_subscription_that_cannot_work_is_refused_with_what_to_change(subscriber: Subscriber, word: str) -> None:
    hss = make_hss()
    with pytest.raises(SubscriberError, match=word):
        hss.provision(subscriber)
    assert hss.user_by_impi(CAROL.impi) is not None


def test_a_replaced_subscription_stays_registered_and_loses_its_old_identities() -> None:
    hss = make_hss()
    hss.server_assignment("sip:carol@home.test", AssignmentType.REGISTRATION, "s")
    hss.provision(replace(CAROL, implicit_sets=(("sip:carol@home.test", "sip:c@home.test"),)))
    assert hss.location_info("sip:c@home.test").scscf is not None
    hss.provision(replace(CAROL, implicit_sets=(("sip:c@home.test",),)))
    assert hss.location_info("sip:carol@home.test").result is CxResult.USER_UNKNOWN


def test_subscribers_added_at_run_time_and_sequence_numbers_survive_a_restart() -> None:
    async def story() -> None:
        store = MemoryStore()
        hss = make_hss(ALICE, store=store)
        await hss.start()
        await hss.add(USIM)
        answer = hss.multimedia_auth(USIM.impi, "sip:usim@home.test", USIM.impi)
        assert answer.changed is not None
        from ims_core.store.subscribers import SEQUENCE_NUMBERS

        await store.table(SEQUENCE_NUMBERS).put(answer.changed)
        again = make_hss(ALICE, store=store)
        await again.start()
        answer = again.multimedia_auth(USIM.impi, "sip:usim@home.test", USIM.impi)
        assert answer.changed is not None
        assert answer.changed.sqn == 64
        await again.delete(USIM.impi)
        last = make_hss(ALICE, store=store)
        await last.start()
        assert last.user_by_impi(USIM.impi) is None

    asyncio.run(story())


# --- Sh --------------------------------------------------------------------------------------------------------------


def test_application_servers_find_users_by_every_identity() -> None:
    hss = make_hss()
    for user in (
        hss.user_by_identity(KEY),
        hss.user_by_impi(ALICE.impi),
        hss.user_by_msisdn("+12025550101"),
        hss.user_by_imsi("001010000000101"),
    ):
        assert user is not None
        assert (user.msisdn, user.imsi, user.service_profile) == ("+12025550101", "001010000000101", "rcs")
        assert not user.is_registered
    assert hss.user_by_identity("sip:x@y") is None
    assert hss.user_by_msisdn("+1") is None
    assert hss.password_of(ALICE.impi) == ALICE.password
    assert hss.password_of("nobody") is None


def test_no_secret_is_in_a_repr() -> None:
    assert "lab-secret-A" not in repr(ALICE)
    assert K.octets.hex() not in repr(USIM)
    assert str(K.octets) not in repr(USIM)

from __future__ import annotations

import pytest

from ims_core.wire.sip.uri import parse_uri
from rcs_sim.server.served_users import Subscribers, asserted_identities, asserted_identity, dialable_uri, key_of
from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, BOB, RED, Directory, message, sip


def test_a_subscriber_is_found_by_any_identity_and_named_by_the_default_one() -> None:
    user = Subscribers(Directory(BLUE, [BOB])).find(key_of(f"sip:{BOB}@{BLUE};user=phone"))
    assert user is not None
    assert (user.key, user.identity) == (f"tel:{BOB}", sip(BOB, BLUE))


@pytest.mark.parametrize("key", ["", "tel:+1", key_of(sip(ALICE, RED))])
def test_others_are_nobody(key: str) -> None:
    assert Subscribers(Directory(BLUE, [BOB])).find(key) is None


def test_a_subscriber_without_cpm_services_is_nobody() -> None:
    plain = Directory(BLUE, [BOB], frozenset({"urn:urn-7:3gpp-service.ims.icsi.mmtel"}))
    assert Subscribers(plain).find(f"tel:{BOB}") is None


def test_the_sender_is_who_was_asserted_then_from() -> None:
    assert str(asserted_identity(message())) == sip(ALICE, RED)
    assert str(asserted_identity(message().edit().remove("P-Asserted-Identity").done())) == sip(ALICE, RED)
    assert asserted_identity(message().edit().set("P-Asserted-Identity", "<<").done()) is None
    assert [str(uri) for uri in asserted_identities(message())] == [sip(ALICE, RED), f"tel:{ALICE}"]


def test_numbers_are_answered_by_tel_uri() -> None:
    assert str(dialable_uri((parse_uri(sip(ALICE, RED)),))) == f"tel:{ALICE}"
    assert str(dialable_uri((parse_uri("sip:bot@bots.example"),))) == "sip:bot@bots.example"
    assert dialable_uri(()) is None


def test_what_is_no_uri_has_no_key() -> None:
    assert key_of("not a uri") == ""

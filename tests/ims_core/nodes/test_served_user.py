from __future__ import annotations

import pytest

from ims_core.cx import UserProfile
from ims_core.nodes.served_user import Binding, UserTable, binding_key, features_of
from ims_core.service_profile import ServiceProfile
from ims_core.store.bindings import StoredBinding
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.params import Params
from ims_core.wire.sip.uri import parse_uri
from tests.support.core_cases import NOW, make_request

PROFILE = UserProfile(
    "a@home.test",
    ("tel:+12025550101", "sip:+12025550101@home.test"),
    ("tel:+12025550101",),
    ServiceProfile("p"),
    frozenset(),
)
RECORD = StoredBinding("o", "k", "a@home.test", "sip:a@192.0.2.1", ";+x", (), "c", 1, NOW, NOW + 60, "urn:uuid:1", 1)


def test_a_user_is_made_once_and_his_profile_taken_over() -> None:
    table = UserTable()
    user = table.take(PROFILE)
    assert table.take(PROFILE) is user
    assert table.get("tel:+12025550101") is user
    assert table.by_number(user.number) is user
    assert (len(table), list(table.users())) == (1, [user])
    assert user.sip_impu() == "sip:+12025550101@home.test"
    assert user.other_identity(parse_uri("tel:+12025550101")) == "sip:+12025550101@home.test"
    assert user.other_identity(parse_uri("sip:+12025550101@home.test")) == "tel:+12025550101"


def test_users_of_one_profile_share_its_criteria() -> None:
    table = UserTable()
    other = UserProfile("b@home.test", ("sip:b@home.test",), ("sip:b@home.test",), PROFILE.service_profile, frozenset())
    assert table.take(PROFILE).criteria is table.take(other).criteria


def test_a_binding_is_stored_and_restored_without_loss() -> None:
    binding = Binding(RECORD, 7)
    assert binding.to_record("o") == RECORD
    assert binding.pub_gruu("sip:a@home.test") == "sip:a@home.test;gr=urn:uuid:1"
    assert binding.pub_gruu("tel:+1") is None


def test_a_contact_is_read_in_one_pass() -> None:
    contact = Contact.parse('<sip:a@192.0.2.1>;+sip.instance="<urn:uuid:9>";q=0.7;reg-id=3;+g.x="a,b";expires=5;video')
    request = make_request("REGISTER", "sip:home.test", cseq=4)
    binding = Binding.asked_for(request, contact, impi="i", path=("<p>",), now=NOW)
    assert (binding.instance, binding.q, binding.reg_id) == ("urn:uuid:9", 700, 3)
    assert (binding.tags, binding.cseq) == (';+g.x="a,b";video', 4)
    assert features_of(binding.tags).values("+g.x") == {"a", "b"}


@pytest.mark.parametrize(
    ("instance", "read"),
    [
        (';+sip.instance="<urn:uuid:9>"', "urn:uuid:9"),
        (';+SIP.Instance="<urn:uuid:9>"', "urn:uuid:9"),
        (' ; +sip.instance = "<urn:uuid:9>"', "urn:uuid:9"),
        (';+sip.instance="urn:uuid:9"', "urn:uuid:9"),
        (";+sip.instance=urn:uuid:9", "urn:uuid:9"),
        (';+sip.instance="<urn:\\uuid:9>"', "urn:uuid:9"),
        (';+sip.instance="<urn:a>";+sip.instance="<urn:b>"', "urn:a"),
        (';+sip.instance="<urn:a>" ;+Sip.Instance=x', "urn:a"),
        (';+sip.instance="<>"', ""),
        (";+sip.instance", ""),
        ("", ""),
    ],
)
def test_the_instance_is_found_however_it_is_written(instance: str, read: str) -> None:
    for text in (f"<sip:a@h>;q=0.5{instance};+g.y;reg-id=2", f"<sip:a@h>{instance};+g.y;reg-id=2;q=0.5"):
        contact = Contact.parse(text)
        binding = Binding.asked_for(make_request("REGISTER", "sip:h"), contact, impi="i", path=(), now=NOW)
        assert binding.instance == read == (contact.instance or "")
        assert (binding.tags, binding.reg_id, binding.q) == (";+g.y", 2, 500)
        made = Contact.of("sip:a@h", params=Params(contact.params.pairs))
        again = Binding.asked_for(make_request("REGISTER", "sip:h"), made, impi="i", path=(), now=NOW)
        assert (again.instance, again.tags, again.reg_id, again.q) == (read, ";+g.y", 2, 500)


def test_what_makes_two_contacts_one_binding() -> None:
    def key(text: str, *, has_outbound: bool = False) -> str:
        return binding_key(Contact.parse(text), has_outbound)

    device = ';+sip.instance="<urn:uuid:1>"'
    assert key(f"<sip:a@192.0.2.1>{device}") == key(f"<sip:b@192.0.2.2>{device};reg-id=2")
    one, two = (key(f"<sip:a@h>{device};reg-id={number}", has_outbound=True) for number in (1, 2))
    assert one != two
    assert key("<sip:a@HOST>") == key("<sip:a@host:5060>;q=0.1")
    assert key("<sip:a@host>") != key("<sip:a@host;transport=tcp>")
    assert key("<mailto:a@b>") == "mailto:a@b"

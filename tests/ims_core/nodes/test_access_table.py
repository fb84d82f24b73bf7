from __future__ import annotations

from ims_core.nodes.access_table import Access, AccessTable
from ims_core.store.bindings import StoredAccess

HOME = "ims.mnc001.mcc001.3gppnetwork.org"
SIP, TEL = f"sip:+12025550101@{HOME}", "tel:+12025550101"


def access(
    flow: int, contact_id: str = "a", impus: tuple[str, ...] = (SIP, TEL), expires_at: float = 100.0, route: str = "<r>"
) -> Access:
    record = StoredAccess("tok", contact_id, "TCP", "192.0.2.1", 4000, "sip:a@192.0.2.1", impus, route, expires_at)
    return Access(record, flow)


def test_a_user_is_found_on_his_flow_by_any_spelling_of_his_identities() -> None:
    table = AccessTable(HOME)
    one = access(1)
    table.put(one)
    for identity in (SIP, TEL, f"{SIP};user=phone", "tel:+1-202-555-0101"):
        assert table.by_identity(1, identity) is one, identity
    assert table.by_identity(2, SIP) is None
    assert table.by_identity(1, "sip:+12025550102@x") is None
    assert table.by_identity(1, "not a uri") is None
    assert table.identity_of(one, f"{SIP};user=phone") == SIP
    assert table.identity_of(one, "tel:+1-202-555-0101") == TEL
    assert table.identity_of(one, "sip:other@x") is None
    assert one.to_record().impus == (SIP, TEL)


def test_several_users_may_share_a_flow() -> None:
    table = AccessTable(HOME)
    users = [access(1, f"u{n}", (f"sip:u{n}@{HOME}",)) for n in range(3)]
    for each in users:
        table.put(each)
    assert table.of_flow(1) == tuple(users)
    assert table.by_identity(1, f"sip:u1@{HOME}") is users[1]
    table.remove("u1")
    assert table.of_flow(1) == (users[0], users[2])
    assert table.remove("u1") is None


def test_a_registration_over_another_flow_replaces_the_one_before() -> None:
    table = AccessTable(HOME)
    table.put(access(1))
    table.put(access(2))
    assert len(table) == 1
    assert not table.is_registered_flow(1)
    assert table.is_registered_flow(2)
    assert table.get("a") is not None


def test_registrations_run_out() -> None:
    table = AccessTable(HOME)
    table.put(access(1, "a", expires_at=10.0))
    table.put(access(1, "b", ("sip:b@x",), expires_at=20.0))
    assert [each.contact_id for each in table.pop_due(15.0)] == ["a"]
    assert len(table) == 1


def test_the_one_service_route_of_a_carrier_is_kept_once() -> None:
    table = AccessTable(HOME)
    one, two = (
        access(1, "a", route="<sip:" + "o" * 30 + ">"),
        access(2, "b", ("sip:b@x",), route="<sip:" + "o" * 30 + ">"),
    )
    table.put(one)
    table.put(two)
    assert one.service_route is two.service_route

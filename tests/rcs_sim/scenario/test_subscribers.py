"""What a network file leaves out of a subscriber is made or drawn; mistakes are told."""

from __future__ import annotations

import pytest

from ims_core.errors import ProfileError
from ims_core.transport.tokens import Tokens
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import BulkEntry, CarrierEntry, SubscriberEntry
from rcs_sim.scenario.subscribers import LabSubscriber, imsi_of, subscribers_of

_DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
_NUMBER = "+12025550101"


def _carrier(*subscribers: SubscriberEntry, bulk: tuple[BulkEntry, ...] = ()) -> CarrierEntry:
    red = load_network("two-carriers-plain").carriers["red"]
    return red.model_copy(update={"subscribers": list(subscribers), "bulk": list(bulk)})


def _of(*subscribers: SubscriberEntry, bulk: tuple[BulkEntry, ...] = (), seed: str = "s") -> list[LabSubscriber]:
    return subscribers_of(_carrier(*subscribers, bulk=bulk), Tokens(seed), "net.yaml")


@pytest.mark.parametrize(
    ("msisdn", "domain", "imsi"),
    [
        (_NUMBER, _DOMAIN, "001012025550101"),
        (_NUMBER, "ims.mnc020.mcc310.3gppnetwork.org", "310202025550101"),
        (_NUMBER, "ims.mnc410.mcc310.3gppnetwork.org", "310410025550101"),
        ("+4912", _DOMAIN, "001010000004912"),
        (_NUMBER, "example.org", "001012025550101"),
    ],
)
def test_an_imsi_has_the_carriers_network_code_and_the_number(msisdn: str, domain: str, imsi: str) -> None:
    assert imsi_of(msisdn, domain) == imsi


def test_identities_follow_from_the_number() -> None:
    (found,) = _of(SubscriberEntry(msisdn=_NUMBER))
    assert found.impus == (f"sip:{_NUMBER}@{_DOMAIN}", f"tel:{_NUMBER}")
    assert found.impi == f"001012025550101@{_DOMAIN}"
    assert found.document().impu == found.impus[0]
    assert found.record().service_profile == "rcs"


def test_a_plain_sip_user_needs_only_a_name() -> None:
    (found,) = _of(SubscriberEntry(name="carol", service="sip"))
    assert (found.impi, found.impus, found.msisdn, found.imsi) == (
        f"carol@{_DOMAIN}",
        (f"sip:carol@{_DOMAIN}",),
        None,
        None,
    )


def test_secrets_are_drawn_once_for_each_and_depend_on_nobody_else() -> None:
    first = _of(SubscriberEntry(msisdn=_NUMBER), SubscriberEntry(msisdn="+12025550102"))
    again = _of(SubscriberEntry(msisdn="+12025550102"), SubscriberEntry(msisdn="+12025550109"))
    other = _of(SubscriberEntry(msisdn=_NUMBER), seed="t")
    assert first[1].password == again[0].password
    assert first[0].password != first[1].password
    assert first[0].password != other[0].password


def test_aka_has_keys_and_no_password_and_digest_the_other_way_round() -> None:
    aka, digest = _of(
        SubscriberEntry(msisdn=_NUMBER, auth="AKAv1-MD5"), SubscriberEntry(msisdn="+12025550102", auth="SHA-256")
    )
    assert (aka.password, digest.k, digest.opc) == (None, None, None)
    assert aka.document().k is not None
    assert len(aka.document().k or "") == 32
    assert aka.k != aka.opc
    assert digest.document().password


def test_a_given_password_is_taken_and_never_shown_by_repr() -> None:
    (found,) = _of(SubscriberEntry(msisdn=_NUMBER, password="hunter2"))
    assert found.document().password == "hunter2"
    assert "hunter2" not in repr(found)


def test_bulk_subscribers_are_consecutive_numbers() -> None:
    found = _of(bulk=(BulkEntry(first="+12125550998", count=4, password="same"),))
    assert [one.msisdn for one in found] == ["+12125550998", "+12125550999", "+12125551000", "+12125551001"]
    assert {one.document().password for one in found} == {"same"}


def test_numbers_that_outgrow_their_length_are_a_mistake() -> None:
    with pytest.raises(ProfileError, match="do not fit"):
        _of(bulk=(BulkEntry(first="+9998", count=4),))


def test_two_of_one_number_are_a_mistake() -> None:
    with pytest.raises(ProfileError, match=r"two subscribers are \+12025550101"):
        _of(SubscriberEntry(msisdn=_NUMBER), SubscriberEntry(msisdn=_NUMBER))
    with pytest.raises(ProfileError, match="two subscribers"):
        _of(SubscriberEntry(msisdn=_NUMBER), bulk=(BulkEntry(first="+12025550100", count=5),))


@pytest.mark.parametrize("entry", [SubscriberEntry(), SubscriberEntry(name="x"), SubscriberEntry(service="sip")])
def test_a_subscriber_without_number_or_name_is_a_mistake(entry: SubscriberEntry) -> None:
    with pytest.raises(ProfileError, match="needs an msisdn"):
        _of(entry)

"""Number routing of digest §17.2."""

from __future__ import annotations

import pytest

from ims_core.nodes.destination import DestinationKind, Destinations
from ims_core.nodes.number_table import NumberTable

RED, BLUE = "ims.mnc001.mcc001.3gppnetwork.org", "ims.mnc002.mcc001.3gppnetwork.org"
OWN, FOREIGN, UNKNOWN = DestinationKind.OWN, DestinationKind.FOREIGN, DestinationKind.UNKNOWN


def destinations() -> Destinations:
    return Destinations(RED, NumberTable({"+1202555010": RED, "+1202555015": BLUE, "+12025550109": BLUE}))


@pytest.mark.parametrize(
    ("uri", "kind", "value"),
    [
        ("tel:+12025550101", OWN, "tel:+12025550101"),
        ("tel:+1-202-555-0101", OWN, "tel:+12025550101"),
        (f"sip:+12025550101@{RED};user=phone", OWN, "tel:+12025550101"),
        (f"sip:+12025550101@{RED}", OWN, "tel:+12025550101"),
        (f"sip:alice@{RED}", OWN, f"sip:alice@{RED}"),
        (f"sip:conference-factory@{RED}", OWN, f"sip:conference-factory@{RED}"),
        (f"sip:ipsmgw.{RED}", OWN, f"sip:ipsmgw.{RED}"),
        ("tel:+12025550152", FOREIGN, f"sip:+12025550152@{BLUE};user=phone"),
        ("sip:+12025550152@anything.test;user=phone", FOREIGN, f"sip:+12025550152@{BLUE};user=phone"),
        (f"sip:+12025550109@{RED};user=phone", FOREIGN, f"sip:+12025550109@{BLUE};user=phone"),  # ported away
        (f"sip:bob@{BLUE};gr=urn:uuid:1", FOREIGN, f"sip:bob@{BLUE};gr=urn:uuid:1"),
        ("sip:group@focus.elsewhere.test", FOREIGN, "sip:group@focus.elsewhere.test"),
        ("sip:+442071838750@uk.test;user=phone", FOREIGN, "sip:+442071838750@uk.test;user=phone"),
        ("tel:+442071838750", UNKNOWN, ""),
        ("tel:911;phone-context=+1", UNKNOWN, ""),
        ("mailto:a@b", UNKNOWN, ""),
    ],
)
def test_a_request_uri_leads_to(uri: str, kind: DestinationKind, value: str) -> None:
    found = destinations().of(uri)
    assert found.kind is kind
    assert (found.key if kind is OWN else found.request_uri) == value


def test_a_gruu_names_a_device_of_the_user() -> None:
    found = destinations().of(f"sip:+12025550101@{RED};gr=urn:gsma:imei:00499901-000101-0")
    assert (found.key, found.instance) == ("tel:+12025550101", "urn:gsma:imei:00499901-000101-0")


def test_a_change_of_the_table_is_seen_at_once() -> None:
    table = NumberTable({"+1202555010": RED})
    found = Destinations(RED, table)
    assert found.of("tel:+12025550101").kind is OWN
    assert found.of("tel:+12025550101") is found.of("tel:+12025550101")
    table.set("+12025550101", BLUE)
    assert found.of("tel:+12025550101").kind is FOREIGN


def test_what_is_remembered_is_bounded() -> None:
    found = destinations()
    for number in range(20_000):
        found.of(f"sip:user{number}@{RED}")
    assert len(found._remembered) <= 16_384

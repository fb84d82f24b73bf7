from __future__ import annotations

import pytest

from ims_core.reference_points import reference_point


@pytest.mark.parametrize(
    ("source", "target", "point"),
    [
        ("alice", "red.pcscf", "Gm"),
        ("tcp:192.0.2.1:5060", "red.pcscf", "Gm"),
        ("red.pcscf", "red.icscf", "Mw"),
        ("red.icscf", "red.scscf", "Mw"),
        ("red.scscf", "red.scscf", "Mw"),
        ("red.scscf", "red.messaging_server", "ISC"),
        ("red.focus", "red.scscf", "ISC"),
        ("red.scscf", "red.ibcf", "Mx"),
        ("red.ibcf", "blue.ibcf", "Ici"),
        ("udp:192.0.2.9:5060", "blue.ibcf", "Ici"),
        ("alice", "red.acs", "ACS"),
        ("alice", "red.content_server", "Ut"),
        ("alice", "red.smsc", "CS"),
        ("alice", "red.msrp_relay", "Mb"),
        ("tls:192.0.2.1:2856", "red.msrp_relay", "Mb"),
        ("red.messaging_server", "red.msrp_relay", "Mb"),
        ("red.msrp_relay", "blue.msrp_relay", "Izi"),
        ("red.ipsmgw", "red.smsc", "E/Gd"),
        ("red.scscf", "red.hss", "Cx"),
        ("red.messaging_server", "red.hss", "Sh"),
        ("alice", "bob", ""),
        ("red.acs", "red.unheard_of", ""),
    ],
)
def test_links_are_named_by_the_roles_of_their_ends(source: str, target: str, point: str) -> None:
    assert reference_point(source, target) == point
    assert reference_point(target, source) == point

"""Playbook of the service centre: who is at the far end."""

from __future__ import annotations

import pytest

from ims_core.nodes.smsc_actions import (
    CloseLink,
    SendFrame,
)
from ims_core.wire.sms.sm_link import (
    Attach,
    Bind,
    Failure,
    LinkRole,
    Refused,
    SmError,
)
from tests.support.short_messages import (
    CAROL,
    imsi_of,
)
from tests.support.smsc_bench import (
    CAROL_CS,
    GATEWAY,
    NOW,
    PEER_HOST,
    TRUSTED,
    Bench,
)


@pytest.fixture
def bench() -> Bench:
    """A service centre with its gateway."""
    bench = Bench()
    bench.bind()
    return bench


def test_an_unknown_imsi_is_refused_and_its_connection_closed() -> None:
    bench = Bench()
    bench.run(bench.core.link_opened(9, "127.0.1.100", NOW))
    bench.receive(9, Attach(3, "999990000000001"))
    assert bench.take(Refused) == [Refused(3, SmError.UNKNOWN_SUBSCRIBER)]
    assert CloseLink(9) in bench.log


def test_a_second_attach_of_the_same_phone_replaces_the_first() -> None:
    bench = Bench()
    bench.attach(CAROL_CS)
    bench.run(bench.core.link_opened(99, "127.0.1.100", NOW))
    bench.receive(99, Attach(0, imsi_of(CAROL)))
    assert CloseLink(CAROL_CS) in bench.log
    bench.bind()
    bench.submit()
    bench.receive(GATEWAY, Failure(bench.forward().reference, SmError.ABSENT_SUBSCRIBER))
    assert [action.link for action in bench.log if isinstance(action, SendFrame)][-1] == 99


def test_a_connection_that_does_not_say_who_it_is_is_closed() -> None:
    bench = Bench()
    bench.run(bench.core.link_opened(9, "127.0.1.100", NOW))
    assert bench.sleep_until_deadline() == 10
    assert CloseLink(9) in bench.log


@pytest.mark.parametrize(
    ("host", "role", "name"),
    [
        ("192.0.2.1", LinkRole.IP_SM_GW, "red.ipsmgw"),
        ("192.0.2.1", LinkRole.APPLICATION, "x"),
        (TRUSTED, LinkRole.SMSC, "blue.smsc"),
        (PEER_HOST, LinkRole.SMSC, "green.smsc"),
    ],
)
def test_a_bind_from_elsewhere_is_refused(host: str, role: LinkRole, name: str) -> None:
    bench = Bench()
    bench.run(bench.core.link_opened(9, host, NOW))
    bench.receive(9, Bind(0, role, name))
    assert bench.take(Refused) == [Refused(0, SmError.UNAUTHORIZED)]
    assert CloseLink(9) in bench.log

"""The PyPI package `sipmessage` reads in every SIP message of the demo what we read; it may refuse what is listed.

The same comparison runs over the traces of the scenario tests (tests/scenarios/conftest.py), and over everything that
the programs of the other interop tests have sent (tests/support/peers.py).
"""

from __future__ import annotations

from functools import partial

import pytest

from ims_core.trace import RecordKind
from ims_core.transport.virtual_loop import run
from rcs_sim.scenario.demo_column import COLUMNS, DemoColumn, play_column
from tests.support.peers import require_package
from tests.support.sip_differential import KNOWN_DIFFERENCES, compare

pytestmark = pytest.mark.interop

_SEED = 7


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_both_read_the_same_in_every_message_of_the_demo(column: DemoColumn) -> None:
    require_package("sipmessage")
    records = run(partial(play_column, column, seed=_SEED, is_real=False), clock="virtual").records
    wires = {record.raw for record in records if record.kind is RecordKind.MESSAGE and record.protocol == "SIP"}
    messages = [octets for octets in wires if octets.strip(b"\r\n")]
    assert messages
    met = {reason for octets in messages for reason in compare(octets)}
    assert met <= set(KNOWN_DIFFERENCES)


def test_a_difference_is_found() -> None:
    require_package("sipmessage")
    register = (
        b"REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
        b"From: <sip:a@ims.test>;tag=1\r\nTo: <sip:a@ims.test>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
        b"Contact: <sip:a@192.0.2.1>;methods=%s\r\nContent-Length: 0\r\n\r\n"
    )
    assert compare(register % b'"INVITE,BYE"') == set()
    assert compare(register % b'"INVITE;BYE"') == set(KNOWN_DIFFERENCES)
    with pytest.raises(AssertionError, match="Contact"):
        compare(register % b"a:b")  # in no grammar, but we take it

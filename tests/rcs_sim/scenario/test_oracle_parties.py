from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_parties import MsrpParties

_ALICE, _BOB = "12025550101", "12025550152"
_INVITE = (
    "INVITE tel:+12025550152 SIP/2.0\r\nFrom: <sip:anonymous@anonymous.invalid>;tag=1\r\nTo: <tel:+12025550152>\r\n"
    "P-Asserted-Identity: <sip:+12025550101@ims.test>\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=message 9 TCP/MSRP *\r\n"
    "a=path:msrp://10.0.0.1:9/aaa;tcp\r\na=sendrecv\r\n"
)
_ANSWER = (
    "SIP/2.0 200 OK\r\nf: <sip:+12025550101@ims.test>;tag=1\r\nt: <tel:+12025550152>;tag=2\r\nCSeq: 1 INVITE\r\n\r\n"
    "v=0\r\na=path:msrp://relay.test:2855/r;tcp msrp://10.0.0.2:9/bbb;tcp\r\n"
)


def _record(number: int, octets: str, protocol: str) -> TraceRecord:
    return TraceRecord(number, 0.0, RecordKind.MESSAGE, "a", "b", protocol=protocol, raw=octets.encode())


def _send(path: str) -> str:
    return f"MSRP 1 SEND\r\nTo-Path: {path}\r\nFrom-Path: msrp://x/y;tcp\r\nMessage-ID: 1\r\n-------1$\r\n"


@pytest.mark.parametrize(
    ("path", "ends"),
    [
        ("msrp://10.0.0.1:9/aaa;tcp", (_BOB, _ALICE)),
        ("msrp://10.0.0.2:9/bbb;tcp", (_ALICE, _BOB)),
        ("msrp://relay.test:2855/r;tcp msrp://10.0.0.2:9/bbb;tcp", (_ALICE, _BOB)),
        ("msrp://10.0.0.3:9/ccc;tcp", ("", "")),
    ],
)
def test_who_announced_a_path_is_written_to_there(path: str, ends: tuple[str, str]) -> None:
    parties = MsrpParties()
    parties.read(_record(1, _INVITE, "SIP"))
    parties.read(_record(2, _ANSWER, "SIP"))
    parties.read(_record(3, _send(path), "MSRP"))
    assert parties.of(3) == ends


def test_a_path_in_something_else_says_nothing() -> None:
    parties = MsrpParties()
    parties.read(_record(1, _INVITE.replace("INVITE tel", "UPDATE tel"), "SIP"))
    parties.read(_record(2, _ANSWER.replace("1 INVITE", "1 OPTIONS"), "SIP"))
    parties.read(_record(3, _send("msrp://10.0.0.2:9/bbb;tcp"), "MSRP"))
    assert parties.of(3) == parties.of(4) == ("", "")


@given(st.lists(st.tuples(st.sampled_from(["SIP", "MSRP", "HTTP"]), st.binary(max_size=200)), max_size=5))
def test_any_octets_are_read(found: list[tuple[str, bytes]]) -> None:
    parties = MsrpParties()
    for number, (protocol, octets) in enumerate(found):
        record = _record(number, "", protocol)
        parties.read(record)
        object.__setattr__(record, "raw", b"INVITE \r\na=path:" + octets)
        parties.read(record)
        parties.of(number)

"""Facts are read from octets where they say something, and from notes where they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.why_facts import BAD_KEY_PACKAGE, FAILED_CALL, Fact, FactKind, TraceFacts, keys_of
from tests.support.oracle_traces import ALICE, BOB, TraceScript

_END = 10**9
_CLAIM = "/mls/v1/keypackages/claim"


def _facts(script: TraceScript) -> TraceFacts:
    facts = TraceFacts(["alice", "bob"])
    for record in script.records:
        facts.read(record)
    return facts


def _last(script: TraceScript, *keys: str) -> Fact:
    found = _facts(script).last("alice", _END, *keys)
    assert found is not None
    return found


@pytest.mark.parametrize(("body", "is_good"), [(b'<parm name="openrcs-kds-uri" value="x"/>', True), (b"", False)])
def test_a_configuration_names_a_directory_or_none(body: bytes, is_good: bool) -> None:
    script = TraceScript()
    octets = b"HTTP/1.1 200 OK\r\n\r\n<wap-provisioningdoc>" + body
    script.crosses("red.acs", "alice", octets, protocol="HTTP")
    fact = _last(script, FactKind.CONFIGURATION)
    assert (fact.is_good, fact.element) == (is_good, "red.acs")


@pytest.mark.parametrize(
    ("tags", "says", "is_good"),
    [
        ('+g.gsma.rcs.mls.mls-version="v1";+g.gsma.rcs.mls.mls-kds="2"', "announces mls-kds 2, mls-version v1", True),
        ("+vnd.google.rcs.encrypted", "announces the older scheme", True),
        ('+g.gsma.rcs.mls.mls-version="v1"', "announces mls-version v1", False),
        ("+g.3gpp.smsip", "announces no encryption", False),
    ],
)
def test_announcements_are_those_of_the_contact(tags: str, says: str, is_good: bool) -> None:
    script = TraceScript()
    contact = f"Contact: <sip:a@10.0.0.1>;{tags}\r\n"
    script.crosses("alice", "red.pcscf", f"REGISTER sip:x SIP/2.0\r\n{contact}\r\n".encode())
    answer = f"SIP/2.0 200 OK\r\nTo: <tel:{BOB}>;tag=1\r\nCSeq: 1 OPTIONS\r\n{contact}\r\n"
    script.crosses("red.pcscf", "alice", answer.encode())
    own, peer = _last(script, FactKind.OWN_TAGS), _last(script, f"{FactKind.PEER_TAGS} {BOB[1:]}")
    assert (own.says, own.is_good) == (says, is_good) == (peer.says, peer.is_good)


def test_who_asks_tells_what_he_can_do_too_and_an_answer_to_something_else_does_not() -> None:
    script = TraceScript()
    asked = f'OPTIONS sip:a SIP/2.0\r\nP-Asserted-Identity: <tel:{BOB}>\r\nContact: <sip:b>;+g.gsma.rcs.mls.mls-kds="1"'
    number = script.crosses("red.pcscf", "alice", f"{asked}\r\n\r\n".encode())
    other = f"SIP/2.0 200 OK\r\nTo: <tel:{BOB}>\r\nCSeq: 1 INVITE\r\nAllow: INVITE, OPTIONS\r\n\r\n"
    script.crosses("red.pcscf", "alice", other.encode())
    assert _last(script, f"{FactKind.PEER_TAGS} {BOB[1:]}").number == number


@pytest.mark.parametrize(
    ("answer", "says", "is_good"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"outcome":0}', "with 200: outcome 0", True),
        (b'HTTP/1.1 200 OK\r\n\r\n{"outcome":1}', "with 200: outcome 1", False),
        (b'HTTP/1.1 404 \r\n\r\n{"error":"no_key_packages"}', "with 404: no_key_packages", False),
        (b"HTTP/1.1 503 \r\n\r\n", "with 503", False),
    ],
)
def test_a_call_to_a_directory_has_its_answer(answer: bytes, says: str, is_good: bool) -> None:
    script = TraceScript()
    script.crosses("alice", "red.kds", f"POST {_CLAIM} HTTP/1.1\r\n\r\n".encode(), protocol="HTTP")
    assert [fact.word for fact in _facts(script).unanswered("alice")] == [_CLAIM]
    script.crosses("red.kds", "alice", answer, protocol="HTTP")
    fact = _last(script, _CLAIM)
    assert fact.says.endswith(says)
    assert fact.is_good is is_good
    assert list(_facts(script).unanswered("alice")) == []
    assert (_facts(script).last("alice", _END, FAILED_CALL) is None) is is_good


def test_a_notification_with_a_reason_is_a_refusal() -> None:
    script = TraceScript()
    octets = b"MESSAGE x\r\n\r\n<mls-server-failure-reason><expired-credential/></mls-server-failure-reason>"
    script.crosses("red.pcscf", "alice", octets, details={"about": "control"})
    (fact,) = _facts(script).about("alice", "control")
    assert (fact.kind, fact.word) == (FactKind.REFUSAL, "expired-credential")


def test_an_error_to_a_message_is_an_answer() -> None:
    script = TraceScript()
    script.crosses(
        "red.pcscf", "alice", b"SIP/2.0 503 Service Unavailable\r\n\r\n", imdn_message_id="a", summary="503 (MESSAGE)"
    )
    script.crosses("red.msrp_relay", "alice", b"MSRP t 413 No\r\n-------t$\r\n", protocol="MSRP", imdn_message_id="b")
    facts = _facts(script)
    assert [fact.word for fact in facts.about("alice", "a")] == ["503"]
    assert [fact.word for fact in facts.about("alice", "b")] == ["413"]


def test_notes_are_found_by_machine_state_and_peer() -> None:
    script = TraceScript()
    first = script.state("alice", "encryption", "claimed", peer=BOB, reason="1 key packages")
    second = script.state("alice", "encryption", "claim failed", peer=BOB)
    script.add(RecordKind.ERROR, "alice", summary="a claimed key package is refused: expired")
    facts = _facts(script)
    keys = tuple(f"encryption {state} {BOB[1:]}" for state in ("claimed", "claim failed"))
    assert [getattr(facts.last("alice", until, *keys), "number", None) for until in (0, first, second)] == [
        None,
        first,
        second,
    ]
    assert facts.last("bob", _END, *keys) is None
    assert facts.last("alice", _END, BAD_KEY_PACKAGE) is not None


def test_every_fact_is_found_by_its_kind() -> None:
    for kind in FactKind:
        assert kind.value in list(keys_of(Fact(kind, 1, 0.0, "alice", "")))


@given(octets=st.binary(max_size=120), protocol=st.sampled_from(["SIP", "HTTP", "MSRP", "SM"]))
def test_any_octets_are_read_without_an_error(octets: bytes, protocol: str) -> None:
    facts = TraceFacts(["alice"])
    for raw in (octets, b"SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n" + octets, b"<mls-client-failure-reason><" + octets):
        facts.read(TraceRecord(1, 0.0, RecordKind.MESSAGE, "red.kds", "alice", protocol=protocol, raw=raw))
        facts.read(TraceRecord(2, 0.0, RecordKind.MESSAGE, "alice", ALICE, protocol=protocol, raw=raw))

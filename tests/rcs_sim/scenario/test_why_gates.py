"""Each gate that can stop a lock is named where it stops one; what became of a message is told in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ims_core.trace import RecordKind
from rcs_sim.scenario.why import Why
from rcs_sim.scenario.why_gates import GateOutcome, GateStep
from rcs_sim.server.kds_claims import PeerTrouble
from tests.support.oracle_traces import BOB, TraceScript

_TEXT = "meet me at the old harbour"
_TAGS = b'Contact: <sip:a@h>;+g.gsma.rcs.mls.mls-version="v1";+g.gsma.rcs.mls.mls-kds="2"\r\n'
_CLAIM = b"POST /mls/v1/keypackages/claim HTTP/1.1\r\n\r\n"


def _configured(script: TraceScript, *, has_kds: bool = True) -> None:
    name = b'<parm name="openrcs-kds-uri"/>' if has_kds else b""
    script.crosses("red.acs", "alice", b"HTTP/1.1 200\r\n\r\n<wap-provisioningdoc>" + name, protocol="HTTP")


def _enrolled(script: TraceScript) -> None:
    _configured(script)
    script.state("alice", "encryption", "certified", reason="enrolled")
    script.state("alice", "encryption", "ready")
    script.crosses("alice", "red.pcscf", b"REGISTER sip:x SIP/2.0\r\n" + _TAGS + b"\r\n")


def _peer(script: TraceScript, tags: bytes = _TAGS) -> None:
    answer = b"SIP/2.0 200 OK\r\nTo: <tel:%s>\r\nCSeq: 1 OPTIONS\r\n" % BOB.encode()
    script.crosses("red.pcscf", "alice", answer + tags + b"\r\n")


def _claimed(script: TraceScript, answer: bytes = b'HTTP/1.1 200\r\n\r\n{"outcome":0}') -> None:
    script.state("alice", "encryption", "set-up", reason="began", peer=BOB)
    script.crosses("alice", "red.kds", _CLAIM, protocol="HTTP")
    script.crosses("red.kds", "alice", answer, protocol="HTTP")


def _no_kds(script: TraceScript) -> None:
    _configured(script, has_kds=False)


def _never_enrolled(script: TraceScript) -> None:
    _configured(script)


def _not_enrolled(script: TraceScript) -> None:
    _configured(script)
    script.crosses("alice", "red.kds", b"POST /mls/v1/certificate HTTP/1.1\r\n\r\n", protocol="HTTP")
    script.state("alice", "encryption", "not enrolled", reason="no answer from the directory")


def _not_announced(script: TraceScript) -> None:
    _configured(script)
    script.state("alice", "encryption", "ready")
    script.crosses("alice", "red.pcscf", b"REGISTER sip:x SIP/2.0\r\nContact: <sip:a@h>\r\n\r\n")


def _peer_silent(script: TraceScript) -> None:
    _enrolled(script)


def _peer_plain(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script, b"Contact: <sip:b@h>\r\n")


def _not_eligible(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script)
    script.state("alice", "encryption", "not eligible", reason="no matching mls tag", peer=BOB)


def _no_packages(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script)
    _claimed(script, b'HTTP/1.1 404\r\n\r\n{"error":"no_key_packages"}')
    script.state("alice", "encryption", "claim failed", reason="peer has none", peer=BOB)


def _bad_package(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script)
    _claimed(script)
    script.add(RecordKind.ERROR, "alice", summary="a claimed key package is refused: inside the 30-day floor")
    script.state("alice", "encryption", "claim failed", reason="none that passes the checks", peer=BOB)


def _focus_refused(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script)
    _claimed(script)
    script.state("alice", "encryption", "claimed", reason="1 key packages", peer=BOB)
    octets = b"MESSAGE x\r\n\r\n<mls-server-failure-reason><expired-credential/></mls-server-failure-reason>"
    script.crosses("red.pcscf", "alice", octets, details={"about": "control"})
    script.state("alice", "encryption", "refused", "control", reason="expired-credential", peer=BOB)


def _ended(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script)
    _claimed(script)
    script.state("alice", "encryption", "claimed", reason="1 key packages", peer=BOB)
    script.state("alice", "encryption", "accepted", reason="create", peer=BOB)
    script.state("alice", "encryption", "encrypted", peer=BOB)
    script.state("alice", "encryption", "ended", reason="the peer ended it", peer=BOB)


def _locked_out(script: TraceScript) -> None:
    _enrolled(script)
    _peer(script)
    script.state("alice", "encryption", "locked out", peer=BOB)


def _not_let_in(script: TraceScript) -> None:
    _locked_out(script)
    script.state("alice", "encryption", "Welcome asked for", reason="era 1", peer=BOB)


def _plain_message(script: TraceScript) -> Why:
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT)
    script.tick("alice", "delivered", "a")
    return Why(script.records)


@pytest.mark.parametrize(
    ("story", "gate", "words"),
    [
        (_no_kds, "configuration", "names no key distribution server"),
        (_never_enrolled, "own enrolment", "never asked for a certificate"),
        (_not_enrolled, "own enrolment", "no answer from the directory"),
        (_not_announced, "own announcement", "alice announces no encryption"),
        (_peer_silent, "announcement of the peer", "never said what it can do"),
        (_peer_plain, "announcement of the peer", f"{BOB} announces no encryption"),
        (_not_eligible, "eligibility", "no matching mls tag"),
        (_no_packages, "key packages", "claim failed: peer has none"),
        (_bad_package, "key packages", "none that passes the checks"),
        (_focus_refused, "focus", "refused: expired-credential"),
        (_ended, "conversation", "has ended: the peer ended it"),
        (_locked_out, "conversation", "that this phone is not in"),
        (_not_let_in, "conversation", "had not come: era 1"),
    ],
)
def test_the_gate_that_stopped_the_lock_is_named(story: Callable[[TraceScript], None], gate: str, words: str) -> None:
    script = TraceScript()
    story(script)
    explanation = _plain_message(script).explain("a")
    stopped = [step for step in explanation.steps if step.outcome is GateOutcome.STOPPED]
    assert [step.gate for step in stopped] == [gate]
    assert words in stopped[0].says
    assert explanation.no_lock is not None
    assert explanation.no_lock.startswith(f"{gate}: ")
    assert explanation.fell_back is None
    assert explanation.failed is None


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (_not_enrolled, "without an answer"),
        (_no_packages, "answered by red.kds with 404: no_key_packages"),
        (_bad_package, "inside the 30-day floor"),
        (_focus_refused, "a notification says expired-credential"),
    ],
)
def test_the_octets_behind_a_stop_are_shown(story: Callable[[TraceScript], None], words: str) -> None:
    script = TraceScript()
    story(script)
    steps = _plain_message(script).explain("a").steps
    note = next(step for step in steps if words in step.says)
    assert note.outcome is GateOutcome.NOTE
    assert note.number is not None


def _decided(script: TraceScript, outcome: str, number: str, element: str = "red.kds") -> None:
    details = {"outcome": outcome, "target": number.lstrip("+")}
    summary = f"claim of {number}: {outcome}"
    script.add(RecordKind.STATE, element, protocol="KDS", summary=summary, details=details)


@pytest.mark.parametrize("outcome", [each.value for each in PeerTrouble])
def test_what_the_own_directory_found_wrong_with_the_other_one_is_told(outcome: str) -> None:
    """The phone only sees that there is no answer; of other numbers and directories nothing is said."""
    script = TraceScript()
    _enrolled(script)
    _peer(script)
    script.crosses("alice", "red.kds", _CLAIM, protocol="HTTP")
    _decided(script, "peer_empty", BOB)
    _decided(script, outcome, BOB)
    _decided(script, "peer_empty", "+12025550199")
    _decided(script, "peer_empty", BOB, "blue.kds")
    script.crosses("red.kds", "alice", b'HTTP/1.1 502\r\n\r\n{"error":"unavailable"}', protocol="HTTP")
    _decided(script, "0", BOB)
    script.state("alice", "encryption", "claim failed", reason="transport failed", peer=BOB)
    steps = [step for step in _plain_message(script).explain("a").steps if step.gate == "key packages"]
    assert [step.says for step in steps if step.element == "red.kds"] == [
        f"claim of {BOB}: {outcome}",
        "/mls/v1/keypackages/claim answered by red.kds with 502: unavailable",
    ]
    assert steps[-1].outcome is GateOutcome.STOPPED


def test_gates_are_those_of_the_time_at_which_it_was_sent() -> None:
    script = TraceScript()
    _enrolled(script)
    why = _plain_message(script)
    _peer(script)
    assert Why(script.records).explain("a").no_lock == why.explain("a").no_lock


def test_a_lock_has_passed_every_gate() -> None:
    script = TraceScript()
    _enrolled(script)
    _peer(script)
    _claimed(script)
    script.state("alice", "encryption", "claimed", reason="1 key packages", peer=BOB)
    script.state("alice", "encryption", "accepted", reason="create", peer=BOB)
    script.state("alice", "encryption", "encrypted", peer=BOB)
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme="mls")
    script.tick("alice", "delivered", "a", scheme="mls")
    explanation = Why(script.records).explain("a")
    assert explanation.no_lock is None
    assert {step.outcome for step in explanation.steps} == {GateOutcome.PASSED}


def _steps(script: TraceScript, gate: str) -> list[GateStep]:
    return [step for step in Why(script.records).explain("m1").steps if step.gate == gate]


def test_the_way_of_a_message_is_told_in_the_order_of_the_trace() -> None:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.add(RecordKind.FAULT, "red.pcscf", summary="net.partition begins")
    script.state("alice", "fallback", "sms", "a", reason="the network gave no answer", outcome="408")
    script.state("alice", "consent", "given")
    script.carries("a", _TEXT.encode())
    script.state("bob", "encryption", "not opened", "a", reason="future epoch")
    script.add(RecordKind.FAULT, "red.pcscf", summary="net.partition ends")
    script.tick("alice", "failed", "a", reason="the network gave no answer")
    explanation = Why(script.records).explain("a")
    told = [step for step in explanation.steps if step.number is not None]
    assert [step.number for step in told] == sorted(step.number or 0 for step in told)
    gates = [step.gate for step in explanation.steps][1:]
    assert gates == ["fault", "decision", "consent", "link", "link", "receiver", "sender's screen"]
    assert _steps(script, "receiver")[0].outcome is GateOutcome.STOPPED


def test_a_fault_that_was_over_is_not_told() -> None:
    script = TraceScript()
    script.add(RecordKind.FAULT, "red.pcscf", summary="net.partition begins")
    script.add(RecordKind.FAULT, "red.pcscf", summary="net.partition ends")
    script.says("alice", "a", _TEXT)
    script.tick("alice", "sent", "a")
    assert _steps(script, "fault") == []


def test_a_claim_that_failed_before_the_peer_let_this_phone_in_stops_nothing() -> None:
    script = TraceScript()
    _no_packages(script)
    script.state("alice", "encryption", "encrypted", peer=BOB)
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme="mls")
    script.tick("alice", "delivered", "a", scheme="mls")
    explanation = Why(script.records).explain("a")
    assert GateOutcome.STOPPED not in {step.outcome for step in explanation.steps}
    assert explanation.steps[-1].number is not None


def test_an_end_to_which_its_user_agreed_is_told_as_that() -> None:
    script = TraceScript()
    _ended(script)
    ended = len(script.records)
    told = "conversation: the encryption of the conversation has ended: the peer ended it"
    assert _plain_message(script).explain("a").no_lock == f"{told} (record {ended})"
    script = TraceScript()
    _enrolled(script)
    _peer(script)
    script.state("alice", "encryption", "encrypted", peer=BOB)
    agreed = script.state("alice", "consent", "given", reason="unencrypted")
    script.state("alice", "encryption", "ended", peer=BOB)
    no_lock = _plain_message(script).explain("a").no_lock
    assert no_lock is not None
    assert no_lock.endswith(f"; its user had agreed to that (record {agreed})")

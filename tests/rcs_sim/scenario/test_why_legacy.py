"""Of a phone with the older scheme the gate of that scheme is named which stopped the lock, and not those of MLS."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rcs_sim.scenario.why import Explanation, Why
from rcs_sim.scenario.why_gates import GateOutcome
from tests.support.oracle_traces import BOB, TraceScript, sealed_octets

_TEXT = "meet me at the old harbour"
_MACHINE = "legacy encryption"
_TAG = b"Contact: <sip:a@h>;+vnd.google.rcs.encrypted\r\n"
_MLS_TAG = b'Contact: <sip:b@h>;+g.gsma.rcs.mls.mls-kds="1"\r\n'
_CLAIM = b"POST /legacy/v1/prekeys/claim HTTP/1.1\r\n\r\n"


def _own(script: TraceScript, tags: bytes = _TAG) -> None:
    document = b'HTTP/1.1 200\r\n\r\n<wap-provisioningdoc><parm name="openrcs-kds-uri"/>'
    script.crosses("red.acs", "alice", document, protocol="HTTP")
    script.state("alice", _MACHINE, "ready")
    script.crosses("alice", "red.pcscf", b"REGISTER sip:x SIP/2.0\r\n" + tags + b"\r\n")


def _peer(script: TraceScript, tags: bytes = _TAG) -> None:
    answer = b"SIP/2.0 200 OK\r\nTo: <tel:%s>\r\nCSeq: 1 OPTIONS\r\n" % BOB.encode()
    script.crosses("red.pcscf", "alice", answer + tags + b"\r\n")


def _locked(script: TraceScript) -> None:
    _own(script)
    _peer(script)
    script.state("alice", _MACHINE, "claimed", reason="with a one-time key", peer=BOB)
    script.state("alice", _MACHINE, "encrypted", peer=BOB)


def _not_published(script: TraceScript) -> None:
    script.state("alice", _MACHINE, "not published", reason="the KDS answered 503")


def _off(script: TraceScript) -> None:
    _own(script)
    script.state("alice", _MACHINE, "off")


def _not_announced(script: TraceScript) -> None:
    _own(script, b"Contact: <sip:a@h>\r\n")


def _peer_with_mls(script: TraceScript) -> None:
    _own(script)
    _peer(script, _MLS_TAG)


def _no_prekeys(script: TraceScript) -> None:
    _own(script)
    _peer(script)
    script.crosses("alice", "red.kds", _CLAIM, protocol="HTTP")
    script.crosses("red.kds", "alice", b'HTTP/1.1 404\r\n\r\n{"error":"no_key_packages"}', protocol="HTTP")
    script.state("alice", _MACHINE, "claim failed", reason="the peer has none", peer=BOB)


def _superseded(script: TraceScript) -> None:
    _locked(script)
    script.state("alice", _MACHINE, "superseded", reason="by mls", peer=BOB)


def _said(script: TraceScript, *, is_sealed: bool = False) -> Explanation:
    scheme = "legacy" if is_sealed else None
    script.says("alice", "a", _TEXT)
    if is_sealed:
        script.carries("a", sealed_octets("a"), content_type="application/vnd.google.rcs.encrypted")
    else:
        script.carries("a", _TEXT.encode())
    script.got("bob", "a", _TEXT, scheme=scheme)
    script.tick("alice", "delivered", "a", scheme=scheme)
    return Why(script.records).explain("a")


@pytest.mark.parametrize(
    ("story", "gate", "words"),
    [
        (_not_published, "own prekeys", "not published: the KDS answered 503"),
        (_off, "own prekeys", "off"),
        (_not_announced, "own announcement", "alice announces no encryption"),
        (_peer_with_mls, "announcement of the peer", "announces mls-kds 1, and not the older scheme"),
        (_no_prekeys, "prekeys", "claim failed: the peer has none"),
        (_superseded, "conversation", "superseded: by mls"),
    ],
)
def test_the_gate_that_stopped_the_lock_is_named(story: Callable[[TraceScript], None], gate: str, words: str) -> None:
    script = TraceScript()
    story(script)
    explanation = _said(script)
    stopped = [step for step in explanation.steps if step.outcome is GateOutcome.STOPPED]
    assert [step.gate for step in stopped] == [gate]
    assert explanation.no_lock is not None
    assert explanation.no_lock.startswith(f"{gate}: ")
    assert words in explanation.no_lock


def test_the_call_behind_a_claim_that_failed_is_shown() -> None:
    script = TraceScript()
    _no_prekeys(script)
    assert any("/legacy/v1/prekeys/claim answered by red.kds with 404" in step.says for step in _said(script).steps)


def test_a_lock_of_the_older_scheme_has_passed_every_gate_of_it() -> None:
    script = TraceScript()
    _locked(script)
    explanation = _said(script, is_sealed=True)
    assert explanation.no_lock is None
    assert GateOutcome.STOPPED not in {step.outcome for step in explanation.steps}
    notes = [step.says for step in explanation.steps if step.outcome is GateOutcome.NOTE]
    assert notes == ["not with MLS: this phone never asked for a certificate"]


def test_what_the_receiver_could_not_read_of_it_is_told() -> None:
    script = TraceScript()
    _locked(script)
    script.says("alice", "a", _TEXT)
    script.carries("a", sealed_octets("a"), content_type="application/vnd.google.rcs.encrypted")
    script.state("bob", _MACHINE, "not opened", "a", reason="no session")
    script.state("alice", _MACHINE, "peer could not read", "a", reason="attempt 1")
    script.tick("alice", "failed", "a", reason="the peer could not read it")
    steps = Why(script.records).explain("a").steps
    told = {(step.gate, step.says) for step in steps if step.outcome is GateOutcome.STOPPED}
    assert ("receiver", "not opened: no session") in told
    assert ("encryption", "peer could not read: attempt 1") in told


def test_a_phone_without_the_scheme_has_none_of_its_gates() -> None:
    script = TraceScript()
    assert "own prekeys" not in {step.gate for step in _said(script).steps}

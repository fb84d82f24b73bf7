"""The key log: with it a captured message is read, without it none."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.key_log import KEY_LOG_HEADER, KeyLog
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from tests.support.mls_groups import commit, established


def captured(octets: bytes) -> PrivateMessage:
    body = MLSMessage.decode(octets).body
    assert isinstance(body, PrivateMessage)
    return body


def test_what_a_member_has_sealed_and_read_can_be_opened_with_its_log() -> None:
    lines = [KEY_LOG_HEADER]
    alice, bob = established("alice", "bob", policy=MemberPolicy(key_log=lines.append))
    first = alice.seal(b"one")
    bob.read(first)
    octets = commit(bob, (alice,))
    second = bob.seal(b"two")
    log = KeyLog(lines)
    assert log.open(captured(first)).content.content == b"one"
    assert log.open(captured(second)).content.content == b"two"
    assert log.open(captured(octets)).content.sender.leaf_index == bob.group.own_leaf


def test_groups_that_follow_each_other_under_one_id_are_read_each_with_its_own_keys() -> None:
    """As the eras of RCC.16 do: the same group id, and epochs of the same numbers."""
    lines, sealed = [KEY_LOG_HEADER], list[tuple[bytes, bytes]]()
    for era in ("first", "second", "third"):
        alice, bob = established(f"alice, {era}", f"bob, {era}", policy=MemberPolicy(key_log=lines.append))
        texts = f"{era} one".encode(), f"{era} two".encode()
        sealed += [(text, alice.seal(text)) for text in texts]
        for _, octets in sealed[-2:]:
            bob.read(octets)
    assert len({(captured(octets).group_id, captured(octets).epoch) for _, octets in sealed}) == 1
    log = KeyLog(lines)
    assert [log.open(captured(octets)).content.content for _, octets in sealed] == [text for text, _ in sealed]


def test_a_log_opens_nothing_that_is_not_in_it() -> None:
    lines = [KEY_LOG_HEADER]
    alice, bob = established("alice", "bob", policy=MemberPolicy(key_log=lines.append))
    before = list(lines)
    octets = alice.seal(b"one")
    for found, rule in ((before, "VAL-901"), ([], "ValSem003")):
        with pytest.raises(MlsValidationError) as refused:
            KeyLog(found).open(captured(octets))
        assert refused.value.rule == rule
    assert bob.is_member


def test_without_asking_nothing_is_logged() -> None:
    assert MemberPolicy().key_log is None


@pytest.mark.parametrize(
    "line", ["EPOCH", "EPOCH zz 1 1 00", "MESSAGE 00 1 0 1 0 00 00", "EPOCH 00 1 1", "EPOCH 00 1 99 00", "MESSAGE"]
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(TlsDecodeError):
        KeyLog([KEY_LOG_HEADER, line])

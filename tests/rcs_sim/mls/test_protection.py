"""The form in which content leaves."""

from __future__ import annotations

from rcs_sim.mls.identifiers import LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Remove
from tests.support.mls_groups import NOW_S, established


def test_handshakes_leave_in_the_form_of_the_policy_and_application_data_encrypted() -> None:
    for wire_format in (WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE):
        alice, _ = established("alice", "bob", policy=MemberPolicy(handshake_wire_format=wire_format))
        generation = alice.group.next_generation
        assert MLSMessage.decode(alice.seal(b"x")).wire_format is WireFormat.PRIVATE_MESSAGE
        assert alice.group.next_generation == generation + 1
        message = alice.group.propose(Remove(LeafIndex(1)), alice.random, now_s=NOW_S)
        assert message.wire_format is wire_format

"""What only members decide."""

from __future__ import annotations

from ims_core.wire.secret import Secret
from rcs_sim.mls.identifiers import Epoch, LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy, NoPsks
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.mls.private_framing import padme
from rcs_sim.mls.proposals import Remove
from tests.support.forge import private_message, public_message, refusal, signed
from tests.support.mls_groups import Party, established


def test_val816_a_handshake_in_another_form_is_refused_if_the_policy_says_so() -> None:
    public = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE, only_own_form=True)
    alice, bob = established("alice", "bob", policy=public)
    sealed = signed(alice, Remove(LeafIndex(1)), wire_format=WireFormat.PRIVATE_MESSAGE)
    assert refusal(bob, private_message(alice, sealed)) == "VAL-816"
    private = MemberPolicy(only_own_form=True)
    alice, bob = established("alice", "bob", policy=private)
    assert refusal(bob, public_message(alice, signed(alice, Remove(LeafIndex(1))))) == "VAL-816"


def test_padding_hides_lengths() -> None:
    def length(party: Party, text: bytes) -> int:
        body = MLSMessage.decode(party.seal(text)).body
        assert isinstance(body, PrivateMessage)
        return len(body.ciphertext)

    (alice,) = established("alice", policy=MemberPolicy(padding=padme))
    (bob,) = established("bob")
    assert length(alice, bytes(1000)) == length(alice, bytes(1010))
    assert length(bob, bytes(1000)) != length(bob, bytes(1010))


def test_who_has_no_psks_finds_none() -> None:
    psks = NoPsks()
    found: list[Secret | None] = [psks.external_psk(b"x"), psks.resumption_psk(b"group", Epoch(1))]
    assert found == [None, None]

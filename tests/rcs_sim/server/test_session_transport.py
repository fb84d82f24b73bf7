"""RFC 3261 §9, §13.2.2.4: the calls of the server on its stack."""

from __future__ import annotations

from ims_core.wire.sip.call_outputs import EndReason
from tests.rcs_sim.server.messaging_lab import ALICE, BOB, PHONE, gruu
from tests.rcs_sim.server.session_lab import on_virtual_time, session_lab


@on_virtual_time
async def test_a_cancel_reaches_the_invite_that_it_is_about() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        bob.on_invite = "ring"
        alice.invite()
        await lab.settle()
        alice.cancel()
        await lab.settle()
        assert bob.end is not None
        assert bob.end.reason is EndReason.CANCELLED


@on_virtual_time
async def test_an_invite_without_a_next_hop_is_503() -> None:
    async with session_lab() as lab:
        lab.names.remove("scscf.ims.mnc002.mcc001.3gppnetwork.org")
        bob = await lab.party("bob", "sip:bob")
        bob.invite(sender=BOB, recipient=ALICE, case="orig")
        await lab.settle()
        assert bob.status == 503


@on_virtual_time
async def test_a_party_that_is_silent_is_given_up() -> None:
    async with session_lab() as lab:
        bob, alice = await lab.party("bob", "sip:bob"), await lab.party("alice", f"tel:{ALICE}")
        alice.on_invite = None
        bob.invite(sender=BOB, recipient=ALICE, case="orig")
        await lab.settle(80)
        assert bob.status == 408
        assert lab.server.stack.open_transactions[0] <= 1

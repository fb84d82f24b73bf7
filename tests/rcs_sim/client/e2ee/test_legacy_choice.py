"""Which scheme a conversation has: MLS before the legacy one, and never back (RCC.16 digest §14.12, §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.e2ee.legacy_choice import UPGRADE_PAUSE_S, UPGRADE_WAIT_S, SchemeChoice
from rcs_sim.client.encryption import (
    EncryptedArrival,
    Scheme,
    SealDecision,
    SealedContent,
    SealingPower,
    SealStep,
    seal_step,
)
from rcs_sim.client.identity import ContactKey, dialled_key
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.e2ee.feature_tags import MlsTags
from rcs_sim.wire.cpim import CpimMessage, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.client.stories import play
from tests.support.legacy_phones import LegacyPair, legacy_pair
from tests.support.stub_core import BOB, World

MLS_TAGS = MlsTags(kds=2, version="v1")
PLAIN, SEALS, WAITS, REFUSES = SealStep.PLAIN, SealStep.SEAL, SealStep.WAIT, SealStep.REFUSE


class OtherScheme:
    """Stands in for MLS: says what it is told to, and notes what is asked of it."""

    def __init__(self, *, is_ready: bool = True) -> None:
        self.is_ready = is_ready
        self.held: set[ContactKey] = set()
        self.can_begin = True
        self.locked: Callable[[Conversation], None] | None = None
        self.asked: list[str] = []

    @property
    def tags(self) -> MlsTags:
        return MLS_TAGS if self.is_ready else MlsTags()

    def holds(self, conversation: Conversation) -> bool:
        return conversation.peer in self.held

    def begin(self, conversation: Conversation) -> bool:
        self.asked.append("begin")
        return self.can_begin

    def has_group(self, conversation: Conversation) -> None:
        self.held.add(conversation.peer)
        assert self.locked is not None
        self.locked(conversation)

    def decide(self, conversation: Conversation, *, may_wait: bool) -> SealDecision:
        power = SealingPower.CAN_SEAL if self.holds(conversation) else SealingPower.NO_STATE
        return seal_step(power, is_marked=conversation.is_encrypted)

    def scheme_of(self, conversation: Conversation) -> Scheme | None:
        return Scheme.MLS if conversation.is_encrypted else None

    def seal(self, message: SentMessage) -> SealedContent:
        return SealedContent(b"", "message/mls", (), Scheme.MLS, ())

    def arrived(self, arrival: EncryptedArrival) -> None:
        self.asked.append("arrived")

    def receipt_headers(self, message: ReceivedMessage, receipt_id: str, imdn: Imdn) -> Iterable[CpimHeader] | None:
        return None

    def accepts_receipt(self, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        self.asked.append("receipt")
        return False

    def reported(self, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        return True

    def end(self, conversation: Conversation) -> None:
        self.asked.append("end")

    def revive(self, conversation: Conversation) -> None:
        self.asked.append("revive")

    def security_code(self, conversation: Conversation) -> str | None:
        return "code of mls"

    def capability_learned(self, conversation: Conversation) -> None:
        self.asked.append("learned")


class Rig:
    """Alice's choice, and her conversation with Bob."""

    def __init__(self, pair: LegacyPair, mls: OtherScheme) -> None:
        self.pair, self.mls = pair, mls
        self.legacy = pair.side(pair.alice)
        messenger = pair.alice._messenger
        self.choice = SchemeChoice(mls, self.legacy, messenger)
        self.conversation = messenger.conversation(dialled_key(BOB))
        self.entry = messenger.capabilities.entry(self.conversation.peer)

    def peer_has(self, tags: MlsTags) -> None:
        self.entry.tags = replace(self.entry.tags, mls=tags)

    def step(self, *, may_wait: bool = True) -> SealStep:
        return self.choice.decide(self.conversation, may_wait=may_wait).step

    async def lock(self) -> None:
        """By the legacy scheme."""
        await (await self.pair.alice.chat(BOB).send("locked")).displayed(within_s=30)
        assert self.legacy.is_locked(self.conversation)


def _play(check: Callable[[Rig], None], *, is_locked: bool = False, is_ready: bool = True) -> None:
    async def story(world: World) -> None:
        async with legacy_pair(world) as pair:
            rig = Rig(pair, OtherScheme(is_ready=is_ready))
            if is_locked:
                await rig.lock()
            check(rig)

    play(story)


@pytest.mark.parametrize(
    ("is_ready", "theirs", "step"),
    [
        (True, replace(MLS_TAGS, legacy=True), PLAIN),  # MLS is asked, and has no group here
        (True, MlsTags(legacy=True), WAITS),  # prekeys are claimed
        (False, replace(MLS_TAGS, legacy=True), WAITS),
        (False, MlsTags(), PLAIN),
        (True, MlsTags(), PLAIN),
    ],
)
def test_a_new_conversation_gets_mls_else_the_legacy_scheme_else_none(
    is_ready: bool, theirs: MlsTags, step: SealStep
) -> None:
    def check(rig: Rig) -> None:
        rig.peer_has(theirs)
        assert rig.step() is step

    _play(check, is_ready=is_ready)


def test_what_the_phone_announces_is_of_both() -> None:
    def check(rig: Rig) -> None:
        assert rig.choice.tags == replace(MLS_TAGS, legacy=True)

    _play(check)


def test_a_locked_conversation_waits_for_mls_when_both_have_got_it() -> None:
    def check(rig: Rig) -> None:
        assert rig.step() is SEALS
        assert rig.choice.scheme_of(rig.conversation) is Scheme.LEGACY
        rig.peer_has(MLS_TAGS)
        assert rig.step() is WAITS
        assert rig.step(may_wait=False) is SEALS  # by the old scheme: that is no step back

    _play(check, is_locked=True)


def test_while_mls_is_being_set_up_what_has_waited_enough_goes_by_the_old_scheme() -> None:
    def check(rig: Rig) -> None:
        rig.mls.held.add(rig.conversation.peer)
        assert rig.step() is WAITS
        assert rig.step(may_wait=False) is SEALS
        assert rig.choice.scheme_of(rig.conversation) is Scheme.LEGACY
        rig.mls.has_group(rig.conversation)
        assert rig.step() is SEALS
        assert rig.choice.scheme_of(rig.conversation) is Scheme.MLS

    _play(check, is_locked=True)


def test_mls_that_does_not_come_about_is_not_waited_for_longer_than_said() -> None:
    async def story(world: World) -> None:
        async with legacy_pair(world) as pair:
            rig = Rig(pair, OtherScheme())
            await rig.lock()
            pair.alice._messenger.encryption = rig.choice
            rig.mls.held.add(rig.conversation.peer)  # and never gets a group
            first = pair.alice.chat(BOB).send("waits a while")
            await first.displayed(within_s=UPGRADE_WAIT_S + 5)
            second = pair.alice.chat(BOB).send("does not wait")
            await second.displayed(within_s=5)
            assert {first.scheme, second.scheme} == {Scheme.LEGACY}
            await asyncio.sleep(UPGRADE_WAIT_S + UPGRADE_PAUSE_S)
            assert rig.step() is WAITS

    play(story)


def test_where_mls_cannot_begin_the_old_scheme_goes_on() -> None:
    def check(rig: Rig) -> None:
        rig.peer_has(MLS_TAGS)
        rig.mls.can_begin = False
        assert rig.step() is SEALS
        assert rig.mls.asked == ["begin"]

    _play(check, is_locked=True)


def test_new_tags_begin_the_move_by_themselves() -> None:
    def check(rig: Rig) -> None:
        rig.peer_has(MLS_TAGS)
        rig.choice.capability_learned(rig.conversation)
        assert rig.mls.asked == ["begin", "learned"]

    _play(check, is_locked=True)


def test_a_conversation_of_mls_never_comes_back_to_the_old_scheme() -> None:
    def check(rig: Rig) -> None:
        rig.mls.has_group(rig.conversation)
        assert rig.choice.scheme_of(rig.conversation) is Scheme.MLS
        rig.mls.held.clear()  # the group is gone, MLS is not announced any more
        rig.peer_has(MlsTags(legacy=True))
        assert rig.step() is REFUSES
        rig.conversation.is_encrypted = False  # ended by the users
        assert rig.step() is PLAIN

    _play(check, is_locked=True)


def test_a_message_of_the_old_scheme_does_not_lock_what_mls_holds() -> None:
    async def story(world: World) -> None:
        async with legacy_pair(world) as pair:
            rig = Rig(pair, OtherScheme())
            rig.mls.has_group(rig.conversation)
            await (await pair.bob.chat(rig.legacy.account.msisdn).send("by the old scheme")).delivered(within_s=30)
            assert not rig.legacy.is_locked(rig.conversation)
            assert not rig.conversation.is_encrypted

    play(story)


def test_bodies_and_receipts_go_to_the_scheme_that_they_are_of() -> None:
    def check(rig: Rig) -> None:
        rig.mls.asked.clear()
        (sent,) = [each for each in rig.conversation.messages if isinstance(each, SentMessage)]
        assert sent.scheme is Scheme.LEGACY
        imdn = Imdn(sent.id, "2026-11-22T12:00:00Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)
        assert rig.choice.accepts_receipt(sent, imdn, None, rig.conversation.peer)
        assert rig.choice.reported(imdn, None, rig.conversation.peer)  # no message of the user: of MLS, if of any
        for content_type in ("message/mls", "application/vnd.google.rcs.encrypted"):
            octets = compose_cpim(
                sender="sip:anonymous@anonymous.invalid",
                recipient="sip:anonymous@anonymous.invalid",
                message_id="id",
                date_time="2026-11-22T12:00:00Z",
                body=b"nothing",
                content_type=content_type,
            )
            rig.choice.arrived(
                EncryptedArrival(rig.conversation.peer, parse_uri(f"tel:{BOB}"), CpimMessage.parse(octets), "", "")
            )
        assert rig.mls.asked == ["arrived"]
        assert any("not opened" in each for each in rig.pair.world.states("alice", "legacy encryption"))

    _play(check, is_locked=True)


def test_the_users_hands_reach_the_scheme_of_the_conversation() -> None:
    def check(rig: Rig) -> None:
        assert rig.choice.security_code(rig.conversation) not in (None, "code of mls")
        rig.choice.end(rig.conversation)
        assert not rig.conversation.is_encrypted
        rig.choice.revive(rig.conversation)
        assert rig.conversation.is_encrypted
        rig.mls.has_group(rig.conversation)
        rig.choice.end(rig.conversation)
        rig.choice.revive(rig.conversation)
        assert rig.mls.asked[-2:] == ["end", "revive"]
        assert rig.choice.security_code(rig.conversation) == "code of mls"

    _play(check, is_locked=True)

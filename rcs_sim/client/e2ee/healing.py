"""Set-up and repair of encrypted conversations: claims, creates, pulls, replays, rejoins, new eras (RCC.16 §6.2, §8.3,
§10.1).

What to do next is decided by the engine's tables (`rcs_sim.e2ee.member.self_heal`); this carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.claims import ClaimFailed, Claims
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.control_channel import ControlAnswer, NoAnswer
from rcs_sim.client.e2ee.requests import Ended, Make, Requests, own_envelope
from rcs_sim.client.e2ee.server_state import ServerState, read_answer
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.e2ee.welcome_request import ASK_AGAIN_S, WelcomeRequests, is_stamped
from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.key_package_profile import VerifiedKeyPackage
from rcs_sim.e2ee.member.commit_verdict import NextStep
from rcs_sim.e2ee.member.control_outcome import ControlRefusal, ParkedControl
from rcs_sim.e2ee.member.control_plane import Settlement
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.self_heal import (
    Deployment,
    HealInput,
    HealPhase,
    HealStep,
    fallback_input,
    input_of_pull,
)
from rcs_sim.e2ee.member.server_comparison import is_elected
from rcs_sim.e2ee.server_message import read_server_body
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["Healing"]

WELCOME_WAIT_S = 3.0  # of who has lost a race: the winner's Welcome comes in that time (digest RCC.16 §14.6)
SET_UP_PAUSE_S = 60.0  # after a set-up that failed (choice)
_THEN = Callable[[Sequence[KeyPackage]], None]


@dataclass(frozen=True, slots=True)
class _EraWish:
    """A new era that is to be made: while the focus is *asked_at* this state, and if it still *is_needed* when there
    are key packages for it."""

    kind: AdvanceKind
    asked_at: EpochIdentifier | None = None
    is_needed: Callable[[], bool] = lambda: True


class Healing:
    """Of one phone."""

    __slots__ = ("_claims", "_context", "_requests", "_servers", "_welcomes")

    def __init__(self, context: E2eeContext, requests: Requests, claims: Claims) -> None:
        self._context, self._requests, self._claims = context, requests, claims
        self._servers: dict[EncryptedThread, ServerState] = {}
        self._welcomes = WelcomeRequests(context)
        requests.end_told = lambda thread: self.heal(thread, "the focus says that encryption has ended")
        requests.elsewhere_told = self._look_soon

    # --- set-up ------------------------------------------------------------------------------------------------------

    def set_up(self, thread: EncryptedThread) -> None:
        """The first group of a conversation: claims, one commit with everybody, acceptance."""
        if thread.is_setting_up or thread.heal.is_running:
            return
        thread.is_setting_up = True
        self._context.note(thread, "set-up", "began")
        self._claim(thread, partial(self._create, thread), partial(self._set_up_failed, thread))

    def _create(self, thread: EncryptedThread, packages: Sequence[KeyPackage]) -> None:
        if thread.engine.state is not ConversationState.NONE:
            self._set_up_over(thread)  # a Welcome was faster
            return
        context = self._context
        group_id = context.tokens.uuid().encode()
        is_sent = self._requests.submit(
            thread,
            lambda engine, control_id, now_s: engine.control.create(packages, group_id, control_id, now_s),
            partial(self._created, thread),
        )
        if not is_sent:
            self._set_up_failed(thread, "no group could be made")

    def _created(self, thread: EncryptedThread, step: NextStep) -> None:
        match step:
            case NextStep.KEEP:
                self._set_up_over(thread)
            case NextStep.STOP | NextStep.FORGET | NextStep.OTHER_REPAIR:
                if thread.engine.identifier is None:
                    self._context.renew_engine(thread)  # another attempt begins with nothing
                self._set_up_failed(thread, "the focus refused it")
            case NextStep.ASK_SERVER:
                self._set_up_over(thread)
                self.heal(thread, "the outcome of the create is unknown")
            case _:
                self._after(WELCOME_WAIT_S, partial(self._lost_the_race, thread))

    def _lost_the_race(self, thread: EncryptedThread) -> None:
        has_group = thread.engine.identifier is not None
        self._set_up_over(thread)
        if not has_group:
            self.heal(thread, "the server holds the conversation")

    def _set_up_failed(self, thread: EncryptedThread, why: str) -> None:
        thread.blocked_until = self._context.messenger.alarms.now() + SET_UP_PAUSE_S
        thread.blocked_why = why
        self._context.note(thread, "set-up failed", why)
        self._set_up_over(thread)

    def _set_up_over(self, thread: EncryptedThread) -> None:
        thread.is_setting_up = False
        self._context.moved(thread)

    def _claim(self, thread: EncryptedThread, then: _THEN, failed: Callable[[str], None]) -> None:
        context = self._context
        kds = context.messenger.capabilities.entry(thread.conversation.peer).tags.mls.kds
        if not thread.claims.take(context.passed_s()):
            failed("no key packages: the budget of claims is used up")
            return

        async def claim() -> None:
            try:
                found = await self._claims.packages(thread.peer_number, kds)
            except ClaimFailed as error:
                context.note(thread, "claim failed", str(error))
                failed(f"no key packages: {error}")
                return
            self._note_claimed(thread, found)
            then([each.key_package for each in found])

        context.errands.create_task(claim(), name="claim of key packages")

    def _note_claimed(self, thread: EncryptedThread, found: Sequence[VerifiedKeyPackage]) -> None:
        remarks = "; ".join(remark for each in found for remark in each.remarks)
        last = sum(each.is_last_resort for each in found)
        counted = f"{len(found)} key packages" + (f", {last} of last resort" if last else "")
        self._context.note(thread, "claimed", f"{counted}; {remarks}" if remarks else counted)

    # --- self-heal ---------------------------------------------------------------------------------------------------

    def heal(self, thread: EncryptedThread, why: str) -> None:
        """Brings the conversation to the server's state; one repair for a burst of reasons."""
        context = self._context
        if thread.heal.is_running or thread.is_setting_up:
            return
        if thread.has_ended or thread.engine.is_wedged or thread.engine.state is ConversationState.LEFT:
            return
        if context.watch.is_waived(thread.conversation.peer):
            return  # the user goes on without
        if not thread.heals.take(context.passed_s()):
            self._not_begun(thread)
            return
        context.note(thread, "repair", why)
        if context.is_arbitrated(thread):
            self._feed(thread, HealInput.START)
        else:
            self._heal_without_focus(thread)

    def _not_begun(self, thread: EncryptedThread) -> None:
        """Told once for each time that the budget is used up: what waits is looked at again because of it, and may want
        a repair again."""
        free_s = thread.heals.next_free_s(self._context.passed_s())
        if thread.heals_free_at_s != free_s:
            thread.heals_free_at_s = free_s
            self._context.note(thread, "no repair", "the budget of today is used up")
            self._over(thread)

    def _heal_without_focus(self, thread: EncryptedThread) -> None:
        """Nobody knows better than the two: who holds a group gives the peer a new one, who holds none waits for it,
        and makes one of its own when there is something to say (choice). Who has further devices in the group leaves it
        to the peer, who is told what cannot be read: it may be this device alone that is behind (choice)."""
        if self._context.has_siblings(thread):
            self._context.note(thread, "repair", "left to the peer")
        elif thread.engine.identifier is not None:
            self.advance_era(thread, "a peer has no usable state")
        self._context.moved(thread)

    def watch(self, thread: EncryptedThread) -> Ended:
        """For requests that nobody waits for: one whose outcome is unknown is brought to an end."""

        def ended(step: NextStep) -> None:
            if step is NextStep.ASK_SERVER:
                self.heal(thread, "the outcome of a request is unknown")

        return ended

    def _look_soon(self, thread: EncryptedThread) -> None:
        """What has come first at the focus is on its way; what does not come is asked for (digest RCC.16 §6.4)."""
        before = thread.engine.identifier

        def look() -> None:
            if thread.engine.identifier == before:
                self.heal(thread, "what the focus took did not come")

        if before is not None:
            self._after(WELCOME_WAIT_S, look)

    def remote_change(self, thread: EncryptedThread) -> None:
        """A Welcome or commit of somebody else has changed the state: that is progress."""
        thread.heals.clear()
        thread.asks.clear()
        if thread.heal.is_running:
            self._feed(thread, HealInput.REMOTE)

    def cancel(self, thread: EncryptedThread) -> None:
        """The phone is switched off, or the conversation ends."""
        thread.is_setting_up = False
        if thread.heal.is_running:
            thread.heal.feed(HealInput.CANCEL, self._context.passed_s())

    def _feed(self, thread: EncryptedThread, happened: HealInput) -> None:
        before = thread.heal.phase
        step = thread.heal.feed(happened, self._context.passed_s())
        deadline_s = thread.heal.next_deadline_s()
        if thread.alarm is None:
            thread.alarm = self._context.messenger.alarms.new(lambda now: self._rang(thread))
        thread.alarm.set(None if deadline_s is None else float(deadline_s) + 1.0)
        match step:
            case HealStep.PULL:
                self._requests.pull(thread, partial(self._pulled, thread))
            case HealStep.REPLAY:
                self._replay(thread)
            case HealStep.EXTERNAL_COMMIT:
                self._abandon(thread)
                self._rejoin(thread)
            case HealStep.NEW_ERA:
                self._abandon(thread)
                self._advance(thread)
            case HealStep.ADOPT_END_MLS:
                self._adopt_end(thread)
                self._over(thread)
            case HealStep.HEALED:
                self._context.note(thread, "repaired")
                thread.failed_heals = 0
                if before is not HealPhase.PULLING:  # that nothing was wrong is no progress
                    thread.heals.clear()
                self._over(thread)
            case HealStep.GIVE_UP:
                self._context.note(thread, "not repaired")
                self._gave_up(thread, happened, has_waited=before is HealPhase.WAITING)
            case HealStep.WAIT:
                self._context.moved(thread)  # who is elected has to learn of it: failures are told meanwhile
                if happened is HealInput.NOT_ELECTED:
                    self._ask(thread)
            case None:
                pass

    def _abandon(self, thread: EncryptedThread) -> None:
        """The way that is taken now leaves behind what was asked before. The focus is beyond the state that it was
        asked from, so that nothing comes of it any more; an answer that may still come is waited for."""
        operation = thread.engine.operation
        if operation is not None and not self._context.channel.is_pending(operation.control_id):
            self._context.note(thread, "given up", operation.kind.name.lower().replace("_", " "), operation.control_id)
            thread.engine.control.abandon()

    def _gave_up(self, thread: EncryptedThread, happened: HealInput, *, has_waited: bool) -> None:
        """Who holds no group looks again in a while; who holds one that cannot be repaired begins it anew, whoever is
        elected (digest RCC.16 §10.1, §10.7)."""
        if thread.engine.group is None and not has_waited:
            thread.heals_again_at = self._context.messenger.alarms.now() + SET_UP_PAUSE_S
            self._after(SET_UP_PAUSE_S, partial(self._context.moved, thread))
        self._over(thread)
        is_failure = happened is not HealInput.CANCEL and thread.is_encrypted
        if is_failure and thread.heal_failed(self._context.passed_s()):
            self.advance_era(thread, "three repairs came to nothing", is_urgent=True)

    def _ask(self, thread: EncryptedThread) -> None:
        """For a Welcome, and again in a while with the state that the focus has then."""
        if not self._welcomes.ask(thread):
            return
        alarms = self._context.messenger.alarms
        if thread.ask_alarm is None:
            thread.ask_alarm = alarms.new(lambda now: self._still_waiting(thread))
        thread.ask_alarm.set(alarms.now() + ASK_AGAIN_S)

    def _still_waiting(self, thread: EncryptedThread) -> None:
        if thread.heal.phase is HealPhase.WAITING:
            self._feed(thread, HealInput.REMOTE)

    def _adopt_end(self, thread: EncryptedThread) -> None:
        """The focus's group has ended. Without one of our own it is only a lock that the focus was known to hold."""
        conversation, messenger = thread.conversation, self._context.messenger
        if thread.engine.group is not None:
            thread.engine.control.adopt_end_mls(self._context.now_s())
        elif conversation.is_encrypted:
            text = "encryption ended"
            messenger.display.show(Shown.TOMBSTONE, conversation.peer, conversation_id=conversation.id, text=text)
            messenger.mark_encrypted(conversation, is_encrypted=False)

    def _rang(self, thread: EncryptedThread) -> None:
        deadline_s = thread.heal.next_deadline_s()
        if deadline_s is not None and self._context.passed_s() >= deadline_s:
            self._feed(thread, HealInput.DEADLINE)

    def _over(self, thread: EncryptedThread) -> None:
        self._servers.pop(thread, None)
        self._context.moved(thread)

    def _pulled(self, thread: EncryptedThread, answer: ControlAnswer) -> None:
        """What the server holds, against what is held here. An answer that comes late, as after an outage, is not taken
        for that of now."""
        if thread.heal.phase is not HealPhase.PULLING:
            return
        server = read_answer(answer)
        self._servers[thread] = server
        if isinstance(answer, NoAnswer):
            self._feed(thread, HealInput.UNREADABLE)
            return
        if server.is_empty:
            self._server_has_nothing(thread)
            return
        now_s = self._context.now_s()
        if server.has_end_mls and (doubt := thread.engine.doubt_about_end(server.group_info, now_s)):
            self._context.note(thread, "end not proven", doubt)
            self._feed(thread, HealInput.UNREADABLE)
            return
        if server.is_said_to_have_ended and thread.engine.group is None and not thread.conversation.is_encrypted:
            self._feed(thread, HealInput.ENDED)  # enough where there is nothing that could end
            return
        if thread.engine.control.settle(server.latest, now_s) is Settlement.APPLIED:
            self._context.moved(thread)
        self._feed(
            thread,
            input_of_pull(
                server.enhanced,
                thread.engine.identifier,
                has_end_mls=server.has_end_mls,
                deployment=self._deployment(thread),
                is_elected=self._is_elected(thread),
            ),
        )

    def _server_has_nothing(self, thread: EncryptedThread) -> None:
        """The focus has no such group: what is held here is history, and a new one is set up (digest RCC.16 §10.7)."""
        thread.engine.control.settle(None, self._context.now_s())
        if thread.engine.identifier is not None:
            self._context.renew_engine(thread)
        self._feed(thread, HealInput.CANCEL)
        self.set_up(thread)

    def _deployment(self, thread: EncryptedThread) -> Deployment:
        sends = self._context.profile.sends_external_commits
        server = self._context.server_of(thread.conversation.peer)
        takes_resync = server.accepts_member_external_commit and not thread.is_resync_refused
        return Deployment(
            arbitrates_era=server.arbitrates_era,
            requires_convergence=server.requires_convergence_ack,
            takes_member_external_commit=sends and takes_resync,
            has_group_info=sends and server.has_server_group_info,
        )

    def _is_elected(self, thread: EncryptedThread) -> bool:
        return is_elected(self._context.own_number, thread.engine.participants)

    def _replay(self, thread: EncryptedThread) -> None:
        """The page in order; the first message that cannot be applied ends the attempt."""
        server = self._servers.get(thread)
        enhanced = None if server is None else server.enhanced
        for each in () if enhanced is None else enhanced.control_messages:
            try:
                arm = read_server_body(each.server_message)
            except ProtobufError:
                self._feed(thread, HealInput.FAILED)
                return
            outcome = thread.engine.receive(arm, own_envelope(thread, each.message_id), self._context.now_s())
            if isinstance(outcome, ControlRefusal | ParkedControl):
                self._context.note(thread, "replay failed", repr(outcome), each.message_id)
                self._feed(thread, HealInput.FAILED)
                return
        is_there = enhanced is not None and thread.engine.identifier == enhanced.latest
        is_last = enhanced is None or enhanced.paginated is None or enhanced.paginated == enhanced.latest
        self._feed(thread, HealInput.CAUGHT_UP if is_there else HealInput.FAILED if is_last else HealInput.MORE)

    def _rejoin(self, thread: EncryptedThread) -> None:
        server = self._servers.get(thread)
        info = None if server is None else server.group_info
        if (
            info is None
            or not thread.rejoins.take(self._context.passed_s())
            or not self._requests.submit(
                thread,
                lambda engine, control_id, now_s: engine.control.external_commit(info, control_id, now_s),
                partial(self._rejoined, thread),
            )
        ):
            self._instead_of_rejoining(thread)

    def _rejoined(self, thread: EncryptedThread, step: NextStep) -> None:
        if thread.heal.phase is not HealPhase.REJOINING:
            return  # its time is over: the server's state tells
        if step is NextStep.KEEP:
            self._feed(thread, HealInput.ACCEPTED)
        elif step is NextStep.OTHER_REPAIR:
            thread.is_resync_refused = True
            self._instead_of_rejoining(thread)
        else:
            self._feed(thread, HealInput.REFUSED)

    def _instead_of_rejoining(self, thread: EncryptedThread) -> None:
        nothing = Deployment()
        self._feed(thread, fallback_input(nothing, is_member=True, is_elected=self._is_elected(thread)))

    def _advance(self, thread: EncryptedThread) -> None:
        if not thread.has_era_left(self._context.passed_s()):
            self._context.note(thread, "no new era", "the budget is used up")
            self._feed(thread, HealInput.FAILED)
            return
        self._claim(
            thread, partial(self._new_era, thread, AdvanceKind.NORMAL), lambda why: self._advance_failed(thread)
        )

    def _advance_failed(self, thread: EncryptedThread) -> None:
        if thread.heal.phase is HealPhase.ADVANCING:
            self._feed(thread, HealInput.FAILED)

    def _new_era(self, thread: EncryptedThread, kind: AdvanceKind, packages: Sequence[KeyPackage]) -> None:
        if thread.heal.phase is not HealPhase.ADVANCING:
            return  # the packages come after their time
        server = self._servers.get(thread) or ServerState()
        is_sent = self._requests.submit(thread, _new_era(server, packages, kind), partial(self._advanced, thread))
        if is_sent:
            thread.take_era(self._context.passed_s())
        else:
            self._feed(thread, HealInput.FAILED)

    def _advanced(self, thread: EncryptedThread, step: NextStep) -> None:
        if thread.heal.phase is HealPhase.ADVANCING:
            self._feed(thread, HealInput.ACCEPTED if step is NextStep.KEEP else HealInput.REFUSED)

    def ask_about(self, thread: EncryptedThread, then: Callable[[EpochIdentifier], object]) -> None:
        """What the server holds, for a Welcome that may be a replay; *then* is not called if it cannot be asked."""

        def answered(answer: ControlAnswer) -> None:
            latest = read_answer(answer).latest
            if latest is not None:
                then(latest)

        self._requests.pull(thread, answered)

    # --- an era that somebody asks for -------------------------------------------------------------------------------

    def advance_era(
        self,
        thread: EncryptedThread,
        why: str,
        *,
        is_urgent: bool = False,
        asked_at: EpochIdentifier | None = None,
        is_needed: Callable[[], bool] = lambda: True,
    ) -> bool:
        """A new era, because a member cannot be helped otherwise: for the member who is elected, the others wait; what
        *is urgent* anybody does, and the focus takes the first. Who asked for it has seen the focus *asked_at* this
        state: it has to be that still, and it still *is_needed* when all is ready. Returns whether it has begun."""
        context = self._context
        if thread.heal.is_running or thread.is_setting_up:
            return False
        if context.is_arbitrated(thread) and not is_urgent and not self._is_elected(thread):
            return False
        if not self._is_within_budgets(thread):
            context.note(thread, "no new era", "the budget is used up")
            return False
        context.note(thread, "new era", why)
        self._begin_era(thread, _EraWish(AdvanceKind.NORMAL, asked_at, is_needed))
        return True

    def begin_anew(self, thread: EncryptedThread, why: str, is_needed: Callable[[], bool]) -> None:
        """A new era, or the first one of a device that has none, where nobody else makes one."""
        if thread.engine.state is ConversationState.NONE:
            self.set_up(thread)
        else:
            self.advance_era(thread, why, is_needed=is_needed)

    def _is_within_budgets(self, thread: EncryptedThread) -> bool:
        """Whether there is a new era left, and the claim and the read that it takes."""
        passed_s, peer = self._context.passed_s(), thread.conversation.peer
        can_read = self._context.watch.has_reads_left(peer) or not self._context.is_arbitrated(thread)
        return can_read and thread.has_era_left(passed_s) and thread.claims.is_left(passed_s)

    def renew_leaf(self, thread: EncryptedThread) -> bool:
        """Our new certificate for the group, if it has an older one: by a commit of ours alone, which nobody else's old
        certificate may stand in the way of; else by a new era of fresh key packages (RCC.16 §9.5.3, A.4.3)."""
        engine, now_s = thread.engine, self._context.now_s()
        if not engine.needs_self_update:
            return False
        if engine.stale_members(now_s) - {self._context.own_number}:
            why = "certificates of several members are old"
            return self.advance_era(thread, why, is_urgent=True, is_needed=partial(self._has_stale_peer, thread))
        return self._requests.submit(
            thread,
            lambda engine, control_id, now_s: engine.control.self_update(control_id, now_s),
            self.watch(thread),
        )

    def _has_stale_peer(self, thread: EncryptedThread) -> bool:
        """Not so any more if the commit of the other's new certificate was on its way to us."""
        return bool(thread.engine.stale_members(self._context.now_s()) - {self._context.own_number})

    def _begin_era(self, thread: EncryptedThread, wish: _EraWish) -> None:
        """From here on nothing is sealed in the era that is given up."""
        thread.is_setting_up = True
        if self._context.is_arbitrated(thread):
            self._requests.pull(thread, partial(self._pulled_for_era, thread, wish))
        else:
            make = partial(self._make_era, thread, wish, ServerState())
            self._claim(thread, make, partial(self._set_up_failed, thread))

    def _pulled_for_era(self, thread: EncryptedThread, wish: _EraWish, answer: ControlAnswer) -> None:
        server = read_answer(answer)
        if not thread.is_setting_up:
            return  # switched off meanwhile
        if wish.asked_at is not None and (server.latest is None or not is_stamped(server.latest, wish.asked_at)):
            self._context.note(thread, "no new era", "asked for from another state than that of the focus")
            self._set_up_over(thread)
            return
        if server.group_info is None and not server.is_only_named:
            self._context.note(thread, "no new era", "the server's state cannot be read")
            self._set_up_over(thread)
            return
        if server.has_end_mls and wish.kind is AdvanceKind.NORMAL:
            self._set_up_over(thread)
            self.heal(thread, "the group of the focus has ended")
            return
        self._claim(thread, partial(self._make_era, thread, wish, server), partial(self._set_up_failed, thread))

    def _make_era(
        self, thread: EncryptedThread, wish: _EraWish, server: ServerState, packages: Sequence[KeyPackage]
    ) -> None:
        if not wish.is_needed():
            self._context.note(thread, "no new era", "what it was for has come about without it")
            self._set_up_over(thread)
            self.renew_leaf(thread)
            return
        self._abandon(thread)
        if not self._requests.submit(thread, _new_era(server, packages, wish.kind), partial(self._created, thread)):
            self._set_up_failed(thread, "no new era could be made")
        elif wish.kind is AdvanceKind.NORMAL:
            thread.take_era(self._context.passed_s())

    def phoenix(self, thread: EncryptedThread, reason: DowngradeReason, ended: Ended) -> None:
        """A new era that is born downgraded, by ourselves alone: it needs nobody's key packages."""
        if self._context.is_arbitrated(thread):
            self._requests.pull(thread, lambda answer: self._rise(thread, reason, read_answer(answer), ended))
        else:
            self._rise(thread, reason, ServerState(), ended)

    def _rise(self, thread: EncryptedThread, reason: DowngradeReason, server: ServerState, ended: Ended) -> None:
        is_known = server.group_info is not None or server.is_only_named
        is_unknown = self._context.is_arbitrated(thread) and not is_known
        if server.has_end_mls or (server.is_empty and thread.engine.group is None):
            thread.is_ending = thread.engine.group is not None
            self._adopt_end(thread)
            self._context.moved(thread)
        elif is_unknown or not self._requests.submit(
            thread, _new_era(server, (), AdvanceKind.PHOENIX_DOWNGRADE, reason), ended
        ):
            ended(NextStep.STOP)

    def revive(self, thread: EncryptedThread) -> None:
        """Encryption comes back in a new era."""
        if not thread.is_setting_up:
            self._begin_era(thread, _EraWish(AdvanceKind.REVIVAL))

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        alarms = self._context.messenger.alarms
        alarm = alarms.new(lambda now: then())
        alarm.set(alarms.now() + seconds)


def _new_era(
    server: ServerState,
    packages: Sequence[KeyPackage],
    kind: AdvanceKind,
    reason: DowngradeReason = DowngradeReason.UNSET,
) -> Make:
    """A new era after what the server holds."""
    return lambda engine, control_id, now_s: engine.control.new_era(
        packages,
        kind,
        control_id,
        now_s,
        server=server.latest,
        carried=server.group_info,
        group_id=server.group_id,
        carries_own=server.is_only_named,
        reason=reason,
    )

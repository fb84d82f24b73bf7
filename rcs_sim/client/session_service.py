"""The message sessions of a phone: opened when they are needed, reused, replaced, released (digest §4.5, §4.8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ims_core.wire.msrp.media import MediaRefused
from ims_core.wire.msrp.session_events import MessageReceived
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.calls import Calls, PhoneCall
from rcs_sim.client.chat_session import SessionEnd, SessionState, SessionTimes
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.discovery import tags_of
from rcs_sim.client.display import Display, Shown
from rcs_sim.client.identity import ContactKey, request_uri_text, sender_of
from rcs_sim.client.media_port import MediaPort
from rcs_sim.client.message_session import MessageSession
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.pager import date_time_of, session_headers
from rcs_sim.client.register_request import ALLOW
from rcs_sim.client.session_offer import OfferRules, read_offer
from rcs_sim.client.session_sender import Carried, ContentCarried, ReceiptCarried, SessionSender, typing_message

__all__ = ["SessionService", "SessionUser"]

GLARE_WAIT_S = 2.0  # how long the side whose INVITE has precedence waits for its answer (choice)
MAX_SESSIONS = 200  # at the same time; further invitations get 486
_SDP_TYPE = "application/sdp"


class SessionUser(Protocol):
    """Who reads what sessions bring."""

    def session_message(self, session: MessageSession, message: MessageReceived) -> int:
        """The MSRP status for it."""
        ...

    def thread_of(self, peer: ContactKey, conversation_id: str) -> Conversation:
        """The conversation with *peer*; a new one takes the id."""
        ...


class SessionService:
    """One phone's sessions while it has RCS. It is the `SessionOwner` of all of them. *accepts_by_itself* is AutAccept;
    else the user accepts, by hand or *accepts_after_s* after it began to ring."""

    __slots__ = (
        "_accepts_after_s",
        "_accepts_by_itself",
        "_all",
        "_chats",
        "_media",
        "_sender",
        "_user",
        "alarms",
        "calls",
        "display",
        "rules",
        "times",
    )

    def __init__(
        self,
        alarms: Alarms,
        display: Display,
        rules: OfferRules,
        times: SessionTimes,
        media: MediaPort,
        sender: SessionSender,
        user: SessionUser,
        *,
        accepts_by_itself: bool,
        accepts_after_s: float | None,
    ) -> None:
        self.alarms, self.display, self.rules, self.times = alarms, display, rules, times
        self._media, self._sender, self._user = media, sender, user
        self._accepts_by_itself, self._accepts_after_s = accepts_by_itself, accepts_after_s
        self._chats: dict[ContactKey, MessageSession] = {}
        self._all: dict[MessageSession, None] = {}
        self.calls: Calls

    # --- what the phone asks -----------------------------------------------------------------------------------------

    def session_with(self, peer: ContactKey) -> MessageSession | None:
        """The chat session that a message to *peer* would go to."""
        found = self._chats.get(peer)
        return found if found is not None and found.machine.takes_messages else None

    def has_session(self, peer: ContactKey) -> bool:
        """Whether one is established (digest §4.1), or being set up by this phone: what is written meanwhile waits for
        it, and overtakes nothing (digest §4.5)."""
        found = self._chats.get(peer)
        return found is not None and (
            found.machine.is_established or (found.is_ours and found.state is SessionState.INVITING)
        )

    @property
    def sessions(self) -> tuple[MessageSession, ...]:
        return tuple(self._all)

    def __len__(self) -> int:
        return len(self._all)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(
        self, message: SentMessage, *, is_large: bool = False, has_fewer_types: bool = False, target: Uri | None = None
    ) -> None:
        """Sends a message of the user: in the session that there is, or in a new one. *has_fewer_types* asks for one
        whose offer has fewer types, *target* for one with that Request-URI."""
        conversation = message.conversation
        session = None if is_large or target is not None else self.session_with(conversation.peer)
        if session is not None and has_fewer_types and session.is_ours and not session.has_fewer_types:
            session = None
        if session is None:
            session = self._open(conversation, is_large=is_large, has_fewer_types=has_fewer_types, target=target)
        elif session.awaits_user:
            self.accept(session)  # who writes takes the invitation
        session.submit(self._sender.content(message))

    def send_receipt(self, message: ReceivedMessage, cpim: bytes, lost: Callable[[], None]) -> bool:
        """A receipt, over the session that the message came on; False if that is not open any more (digest §5.1)."""
        session = message.session
        if not isinstance(session, MessageSession) or session not in self._all or not session.carries_receipts:
            return False
        session.submit(ReceiptCarried(cpim, lost))
        return True

    def take_back_plain(self, peer: ContactKey) -> list[SentMessage]:
        """What the user has written to *peer* in clear and no session has carried: there is or may be a lock."""
        found = [each for session in self._all if session.peer == peer for each in session.take_back(_is_plain)]
        return [item.message for item in found if isinstance(item, ContentCarried)]

    def carry(self, conversation: Conversation, item: Carried) -> None:
        """Sends something that is no message of the user: in the session that there is, or in a new one."""
        session = self.session_with(conversation.peer)
        if session is None:
            session = self._open(conversation, is_large=False, has_fewer_types=False, target=None)
        elif session.awaits_user:
            self.accept(session)
        session.submit(item)

    def send_typing(self, peer: ContactKey, *, is_active: bool, refresh_s: int) -> bool:
        """Tells the peer that the user types; False without an established session."""
        session = self._chats.get(peer)
        if session is None or not session.carries_receipts or not self.rules.policy.types_in_session:
            return False
        now = date_time_of(self.alarms.wall())
        message = typing_message(self.new_word(), is_active=is_active, refresh_s=refresh_s, date_time=now)
        session.send_unanswered(message)
        return True

    # --- the user's hands --------------------------------------------------------------------------------------------

    def accept(self, session: MessageSession) -> None:
        """The user takes the invitation."""
        if session.awaits_user and not session.is_taken:
            session.is_taken = True
            self._with_leg(session, session.accept)

    def decline(self, session: MessageSession) -> None:
        """603: nothing of it becomes an SMS at the other side (digest §8.6)."""
        session.refuse(603, SessionEnd.DECLINED)

    def ringing_with(self, peer: ContactKey) -> MessageSession | None:
        found = self._chats.get(peer)
        return found if found is not None and found.awaits_user and not found.is_taken else None

    def leave(self, peer: ContactKey) -> None:
        """The session with *peer* is not needed any more."""
        found = self.session_with(peer)
        if found is not None:
            self._resubmit(found.leave(SessionEnd.NOT_NEEDED), found)

    # --- the end -----------------------------------------------------------------------------------------------------

    def link_lost(self) -> None:
        """The registration is gone, and with it the way by which invitations of ours would be answered."""
        for session in [each for each in self._all if each.is_pending]:
            session.link_lost()

    def hang_up(self) -> None:
        """The phone leaves the network in order: BYE to all. Messages without an answer are not told."""
        for session in tuple(self._all):
            session.drop()
            self.moved(session, SessionEnd.LINK_DOWN.value)
        self._all.clear()
        self._chats.clear()

    def fall_silent(self) -> None:
        """The battery is out."""
        for session in self._all:
            session.fall_silent()
        self._all.clear()
        self._chats.clear()
        self.calls.close()

    async def close(self) -> None:
        """After `hang_up` or `fall_silent`."""
        self.calls.close()
        await self._media.close()

    # --- invitations -------------------------------------------------------------------------------------------------

    def invited(self, call: PhoneCall, request: Request) -> None:
        """An INVITE that makes a call, for `Calls`."""
        found = sender_of(request, self.calls.ua.account.home_domain.lower())
        if found is None:
            call.refuse(400)
            return
        if len(self._all) >= MAX_SESSIONS:
            call.refuse(486)
            return
        if _is_focus(request):
            self.complain("INVITE refused: a group, which this phone does not take part in")
            call.refuse(480)
            return
        try:
            offer = read_offer(request.body) if request.body else None
        except MediaRefused as refusal:
            self.complain(f"INVITE refused: {refusal.why}")
            call.refuse(refusal.status)
            return
        session = self._new_incoming(found, request)
        earlier = self._chats.get(session.peer)
        self._all[session] = None
        session.offered(call, offer)
        if not session.is_large:
            self._chats[session.peer] = session
            self._give_way(session, earlier)
        if self.accepts(session):
            self.accept(session)
        else:
            self._ring(session)

    def _new_incoming(self, sender: tuple[ContactKey, Uri], request: Request) -> MessageSession:
        peer, uri = sender
        thread = self._user.thread_of(peer, request.text("Conversation-ID") or "")
        session = MessageSession(
            self,
            peer,
            is_ours=False,
            conversation_id=request.text("Conversation-ID") or thread.id,
            contribution_id=request.text("Contribution-ID") or "",
        )
        session.peer_uri = uri
        session.peer_tags = tags_of(request)
        return session

    def _ring(self, session: MessageSession) -> None:
        self.display.show(
            Shown.INVITATION, session.peer, conversation_id=session.conversation_id, text="wants to chat with you"
        )
        if self._accepts_after_s is not None:
            alarm = self.alarms.new(lambda now: self.accept(session))
            alarm.set(self.alarms.now() + self._accepts_after_s)

    def _give_way(self, new: MessageSession, earlier: MessageSession | None) -> None:
        """A second invitation of the same peer replaces what there is; one that meets ours is taken (digest §4.5)."""
        if earlier is None or earlier.state is SessionState.ENDED:
            return
        if not earlier.is_pending:
            self._replace(earlier, new, SessionEnd.REPLACED)
        elif str(self.calls.ua.account.number) > new.peer:
            self._replace(earlier, new, SessionEnd.GLARE)
        else:
            self._keep_for_a_while(earlier, new)

    def _replace(self, old: MessageSession, new: MessageSession, why: SessionEnd) -> None:
        queue = old.leave(why)
        for item in queue:
            new.submit(item)

    def _keep_for_a_while(self, ours: MessageSession, theirs: MessageSession) -> None:
        """Of two invitations that cross, the one of the smaller identity stays when both are answered. Ours is given up
        if it has no answer for so long though theirs stands."""
        self._chats[ours.peer] = ours

        def decide(now: float) -> None:
            if not ours.is_pending:
                return
            if theirs.machine.takes_messages:
                self._chats[ours.peer] = theirs
                self._replace(ours, theirs, SessionEnd.GLARE)

        alarm = self.alarms.new(decide)
        alarm.set(self.alarms.now() + GLARE_WAIT_S)

    # --- SessionOwner ------------------------------------------------------------------------------------------------

    def new_number(self) -> int:
        return self.calls.ua.tokens.number(1, 2**31 - 1)

    def new_word(self) -> str:
        return self.calls.ua.tokens.word()

    def invite_of(self, session: MessageSession, offer: bytes) -> PhoneCall:
        ua, policy = self.calls.ua, self.rules.policy
        target = request_uri_text(session.peer, ua.policy.messaging.request_uri, ua.account.home_domain)
        uri = session.target
        headers = (
            *session_headers(session.conversation_id, session.contribution_id, policy, is_large=session.is_large),
            ("Contact", ua.session_contact),
            ("Allow", ALLOW),
        )
        invite = ua.new_request("INVITE", target, headers, offer, _SDP_TYPE)
        if uri is not None:
            invite = invite.edit().request_uri(uri).done()
        return self.calls.invite(invite, session)

    def accepts(self, session: MessageSession) -> bool:
        return self._accepts_by_itself

    def moved(self, session: MessageSession, why: str) -> None:
        self.display.state(
            "session", session.state.value, reason=why, conversation_id=session.conversation_id, peer=session.peer
        )

    def established(self, session: MessageSession) -> None:
        """Of two sessions with one peer the later one is used, but our own where both invitations crossed."""
        if session.is_large:
            return
        current = self._chats.get(session.peer)
        self._chats[session.peer] = session
        for other in tuple(self._all):
            is_rival = other is not session and other.peer == session.peer and other.machine.takes_messages
            if is_rival and not other.is_large and session.is_ours:
                self._replace(other, session, SessionEnd.GLARE)
            elif is_rival and other is current and other.is_pending:
                self._chats[session.peer] = other  # its time runs

    def received(self, session: MessageSession, message: MessageReceived) -> int:
        return self._user.session_message(session, message)

    def gone(self, session: MessageSession) -> None:
        self._all.pop(session, None)
        if self._chats.get(session.peer) is session:
            others = (each for each in self._all if each.peer == session.peer and not each.is_large)
            rest = next((each for each in others if each.machine.takes_messages), None)
            if rest is None:
                del self._chats[session.peer]
            else:
                self._chats[session.peer] = rest

    def successor(self, session: MessageSession) -> MessageSession | None:
        other = None if session.is_large else self._chats.get(session.peer)
        if other is None or other is session:
            return None
        return other if other.is_pending or other.machine.takes_messages else None

    def complain(self, what: str) -> None:
        self.display.error(what)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _open(
        self, conversation: Conversation, *, is_large: bool, has_fewer_types: bool, target: Uri | None
    ) -> MessageSession:
        session = MessageSession(
            self,
            conversation.peer,
            is_ours=True,
            conversation_id=conversation.id,
            contribution_id=self.calls.ua.tokens.uuid(),
            is_large=is_large,
            has_fewer_types=has_fewer_types,
            target=target,
        )
        self._all[session] = None
        if not is_large:
            self._chats[conversation.peer] = session
        session.begin()
        self._with_leg(session, session.invite)
        return session

    def _with_leg(self, session: MessageSession, then: Callable[[], None]) -> None:
        """Calls *then* when the session has its MSRP side, which the first of all sessions has to wait for."""

        def ready(is_ready: bool) -> None:
            if session.state is SessionState.ENDED or session not in self._all:
                return
            if not is_ready:
                session.without_port()
                return
            if session.leg is None:
                session.leg = self._media.leg(session)
            then()

        self._media.when_ready(ready)

    def _resubmit(self, items: list[Carried], old: MessageSession) -> None:
        """What a session that is left did not get to see any more goes into a new one."""
        if not items:
            return
        thread = self._user.thread_of(old.peer, old.conversation_id)
        session = self._open(thread, is_large=False, has_fewer_types=False, target=None)
        for item in items:
            session.submit(item)


def _is_plain(item: Carried) -> bool:
    return isinstance(item, ContentCarried) and item.message.sealed is None


def _is_focus(request: Request) -> bool:
    return "isfocus" in tags_of(request).services

"""A session of a user of ours with somebody who has no RCS: the network takes it, and each text leaves as short message
(digest §8.1, §8.4, §19.8 step 5)."""

from __future__ import annotations

from ims_core.wire.msrp.session_events import MessageReceived
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.server.duplicate_filter import MessageKey, Sighting
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.pager_content import ContentKind, PagerContent
from rcs_sim.server.session_chat import ChatSession
from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_passage import Passage, PassageState
from rcs_sim.server.session_services import SessionServices

__all__ = ["NO_RCS_THERE", "InterworkedSession", "avoids_interworking"]

NO_RCS_THERE = (404, 405)
"""What the other side answers where nobody has RCS, or a device takes no sessions at all."""
_FALLBACK_TAG = "+g.gsma.rcs.msgfallback"
_NOT_TAKEN = 403  # after which the phone sends the text itself (digest §8.6)


def avoids_interworking(invite: Request) -> bool:
    """Whether the sender wants no gateway (RFC 3841 §9.2, digest §8.1)."""
    return any(_FALLBACK_TAG in value.lower() for value in invite.texts("Reject-Contact"))


class InterworkedSession(ChatSession):
    """It has no leg away from the user. Nothing encrypted goes by short message."""

    carries_encryption = False

    __slots__ = ("_interworking",)

    def __init__(
        self,
        services: SessionServices,
        parties: SessionParties,
        interworking: Interworking,
        *,
        user_leg: SessionLeg,
        now: float,
    ) -> None:
        super().__init__(services, parties, user_leg=user_leg, net_leg=None, now=now)
        self._interworking = interworking

    def _key(self, content: PagerContent) -> MessageKey | None:
        """Of what the user sends: nobody sends him anything here."""
        if not content.message_id:
            return None
        return self.parties.user.key, content.message_id, self.parties.peer_key

    def _from_user(self, leg: SessionLeg, message: MessageReceived, content: PagerContent, now: float) -> None:
        if content.kind is not ContentKind.CHAT or not self._is_repeated(leg, message, content, now):
            super()._from_user(leg, message, content, now)

    def _send_without_leg(self, passage: Passage, now: float) -> None:
        content = passage.content
        if content.kind is ContentKind.REVOCATION:
            self._settle(passage, _NOT_TAKEN, now)  # a short message is not taken back
        elif content.kind is not ContentKind.CHAT:
            self._settle(passage, 200, now)  # who gets short messages sees neither receipts nor typing
        elif not content.is_plain_text or content.is_change:
            self._settle(passage, 415, now)
        else:
            self._submit(passage, now)

    def _submit(self, passage: Passage, now: float) -> None:
        passage.state = PassageState.ELSEWHERE
        key, context = self._key(passage.content), self._services.context
        if key is not None:
            self._services.pending[key] = passage

        def submitted(is_accepted: bool, then: float) -> None:
            if is_accepted and key is not None:
                self._note("message interworked", "the other side has no RCS", passage.message_id)
                context.seen.put(key, Sighting.ACCEPTED, then)
            self._settle(passage, 200 if is_accepted else _NOT_TAKEN, then)

        template = self.parties.from_user(passage.message.content_type, passage.message.body, context)
        sender = parse_uri(self.parties.user.identity)
        if not self._interworking.submit(template, passage.content, sender, submitted, now):
            self._settle(passage, 413, now)  # in more parts than a text may have

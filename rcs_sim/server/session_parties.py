"""Who a session is between, and how what it carries goes by MESSAGE instead (digest §4.8, §15.5, §19.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ims_core.wire.sip.headers import PAssertedIdentity
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import Uri
from rcs_sim.server.device_capabilities import CPM_MSG
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.relayed_request import accept_contact_of, make_request
from rcs_sim.server.served_users import ServedUser, asserted_identities, dialable_uri, key_of_uri
from rcs_sim.server.session_book import Pair
from rcs_sim.server.session_invite import session_ids

__all__ = ["SessionParties"]


@dataclass(frozen=True, slots=True)
class SessionParties:
    """The served *user* and the other party. *asserted* are the identities of the other, as they were asserted or
    called, and *peer* the one to send something to; *ids* are the identifiers of the session."""

    user: ServedUser
    peer: Uri
    asserted: tuple[Uri, ...]
    ids: tuple[HeaderInput, ...]

    @classmethod
    def called_by(cls, user: ServedUser, invite: Request) -> Self:
        """Of an INVITE that *user* sends."""
        target = invite.request_uri
        return cls(user, target, (target,), session_ids(invite))

    @classmethod
    def calling(cls, user: ServedUser, invite: Request) -> Self | None:
        """Of an INVITE for *user*, or a MESSAGE; None if it does not tell who sent it."""
        asserted = asserted_identities(invite)
        peer = dialable_uri(asserted)
        return None if peer is None else cls(user, peer, asserted, session_ids(invite))

    @property
    def peer_key(self) -> str:
        """As the duplicate filter and the mailboxes know the other party."""
        first = self.asserted[0]
        return key_of_uri(first) or str(first)

    @property
    def pair(self) -> Pair:
        return self.user.key, self.peer_key

    def answered_by(self, response: Response) -> tuple[HeaderInput, ...]:
        """Who answered a session, for the 200 of the next leg."""
        return tuple((PAssertedIdentity.NAME, text) for text in response.texts(PAssertedIdentity.NAME))

    def to_user(self, content_type: str, body: bytes, context: PartContext) -> Request:
        """A message of the other party, as a MESSAGE for the terminating delivery to the user."""
        sender = self.asserted[0]
        return Request.new(
            "MESSAGE",
            self.user.identity,
            (
                ("Max-Forwards", "70"),
                ("From", f"<{sender}>;tag={context.tokens.word(48)}"),
                ("To", f"<{self.user.identity}>"),
                ("Call-ID", f"{context.tokens.word()}@{context.config.domain}"),
                ("CSeq", "1 MESSAGE"),
                *((PAssertedIdentity.NAME, f"<{identity}>") for identity in self.asserted),
                ("P-Asserted-Service", CPM_MSG),
                ("Accept-Contact", accept_contact_of(CPM_MSG)),
                *self.ids,
            ),
            body,
            content_type,
        )

    def from_user(self, content_type: str, body: bytes, context: PartContext) -> Request:
        """A message of the user, as a MESSAGE to the other party."""
        return make_request(
            target=self.peer,
            sender=self.user.identity,
            is_registered=True,
            body=body,
            route=context.originating_route,
            tokens=context.tokens,
            domain=context.config.domain,
            ids=self.ids,
        )

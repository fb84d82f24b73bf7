"""LegacyConversation: what a device holds of the legacy scheme with one peer (digest RCC.16 §14.12).

Both sides can begin at once, and either can lose what it holds: a few sessions are kept, and the one in which the peer
was heard last is the one that is sealed in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Self

from rcs_sim.e2ee.legacy.body import AgreementHeader, LegacyBody
from rcs_sim.e2ee.legacy.prekeys import Agreed, LegacyKeys
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.e2ee.legacy.session import LegacySession
from rcs_sim.wire.prekey_directory import PrekeyBundle
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["LegacyConversation", "LegacyOpened"]

MAX_SESSIONS = 8  # of one peer; the one that was heard longest ago goes (choice)
MAX_BEGINNINGS = 1000  # of the peer's that are remembered, so that none begins a session twice (choice)
_WORST = (LegacyRefusal.REPLAYED, LegacyRefusal.TOO_FAR, LegacyRefusal.NOT_AUTHENTIC)  # of several, the telling one


@dataclass(frozen=True, slots=True)
class LegacyOpened:
    """*is_new_identity*: the peer has another identity key than the one that was known."""

    plaintext: bytes = field(repr=False)
    is_new_identity: bool = False


class LegacyConversation:
    """*own* and *peer* are bare digits. *peer_identity* is the peer's last known identity key, b"" before the first."""

    __slots__ = ("_beginnings", "_is_void", "_keys", "_offer", "_sessions", "own", "peer", "peer_identity")

    def __init__(self, keys: LegacyKeys, own: str, peer: str) -> None:
        self._keys = keys
        self.own, self.peer = own, peer
        self.peer_identity = b""
        self._offer: Agreed | None = None
        self._is_void = False
        self._sessions: list[LegacySession] = []
        self._beginnings: dict[bytes, None] = {}

    @property
    def can_seal(self) -> bool:
        """Whether there is a session, or a bundle for one. Without, `begin` has to come first."""
        return self._offer is not None or (bool(self._sessions) and not self._is_void)

    # --- sending -----------------------------------------------------------------------------------------------------

    def begin(self, bundle: PrekeyBundle) -> bool:
        """The next message begins a session with *bundle*, which was claimed for the peer; says whether the peer has
        another identity key than the one that was known. Raises LegacyRefused for one that cannot be used."""
        self._offer = self._keys.begin(bundle, self.own, self.peer)
        return self._meet(bundle.signed.identity_key)

    def seal(self, plaintext: bytes, message_id: str) -> bytes:
        """The body of a message. Raises LegacyRefused where `can_seal` is false."""
        offer = self._offer
        if offer is not None:
            session, body = LegacySession.start(offer, plaintext, message_id)
            self._offer, self._is_void = None, False
            self._lead(session)
            return body
        if not self.can_seal:
            raise LegacyRefused(LegacyRefusal.NO_BUNDLE)
        return self._sessions[0].seal(plaintext, message_id)

    def void(self) -> None:
        """The peer cannot read what was sealed: the next message begins anew. What comes is opened as before."""
        self._offer, self._is_void = None, True

    # --- receiving ---------------------------------------------------------------------------------------------------

    def open(self, octets: bytes, message_id: str) -> LegacyOpened:
        """The plaintext of a body that came under *message_id*. Raises LegacyRefused, and nothing else, on any octets;
        no key has moved then."""
        try:
            body = LegacyBody.decode(octets)
        except ProtobufError as error:
            raise LegacyRefused(LegacyRefusal.UNREADABLE, str(error), raw=octets[:64]) from error
        if body.agreement is None:
            return LegacyOpened(self._open_in(self._sessions, body, message_id))
        known = [each for each in self._sessions if not each.is_own and each.agreement == body.agreement]
        if known:
            return LegacyOpened(self._open_in(known, body, message_id))
        return self._accept(body.agreement, body, message_id)

    def _open_in(self, sessions: list[LegacySession], body: LegacyBody, message_id: str) -> bytes:
        refusals: list[LegacyRefusal] = []
        for session in tuple(sessions):
            try:
                plaintext = session.open(body, message_id)
            except LegacyRefused as refused:
                refusals.append(refused.refusal)
                continue
            self._lead(session)
            return plaintext
        raise LegacyRefused(next((each for each in _WORST if each in refusals), LegacyRefusal.NO_SESSION))

    def _accept(self, header: AgreementHeader, body: LegacyBody, message_id: str) -> LegacyOpened:
        if header.ephemeral_key in self._beginnings:
            raise LegacyRefused(LegacyRefusal.REPLAYED, "a session has begun with this header")
        agreed = self._keys.answer(header, self.own, self.peer)
        session, plaintext = LegacySession.accept(agreed, body, message_id)
        self._keys.spend(header.one_time_key)
        self._beginnings[header.ephemeral_key] = None
        if len(self._beginnings) > MAX_BEGINNINGS:
            del self._beginnings[next(iter(self._beginnings))]
        self._lead(session)
        self._offer, self._is_void = None, False
        return LegacyOpened(plaintext, self._meet(header.identity_key))

    def _lead(self, session: LegacySession) -> None:
        """From now on *session* is sealed in."""
        self._sessions = [session, *(each for each in self._sessions if each is not session)][:MAX_SESSIONS]

    def _meet(self, identity_key: bytes) -> bool:
        before, self.peer_identity = self.peer_identity, identity_key
        return before not in (b"", identity_key)

    # --- snapshot ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Everything but an offer that was not used: it holds a bundle that nobody else has, and another can be
        claimed."""
        members = {
            "own": self.own,
            "peer": self.peer,
            "peer_identity": self.peer_identity.hex(),
            "is_void": self._is_void,
            "sessions": [session.members() for session in self._sessions],
            "beginnings": [key.hex() for key in self._beginnings],
        }
        return json.dumps(members).encode()

    @classmethod
    def restore(cls, keys: LegacyKeys, snapshot: bytes) -> Self:
        """The conversation that `snapshot` wrote, on the *keys* that were written with it."""
        members: dict[str, Any] = json.loads(snapshot)
        conversation = cls(keys, members["own"], members["peer"])
        conversation.peer_identity = bytes.fromhex(members["peer_identity"])
        conversation._is_void = members["is_void"]
        conversation._sessions = [LegacySession.of(each) for each in members["sessions"]]
        conversation._beginnings = dict.fromkeys(bytes.fromhex(key) for key in members["beginnings"])
        return conversation

    def __repr__(self) -> str:
        return f"LegacyConversation(with +{self.peer}, {len(self._sessions)} sessions)"

"""What a phone says in SDP about its message sessions, and what it makes of the peer's (digest §4.5, RFC 6135)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

from ims_core.reference_points import MediaSide
from ims_core.wire.msrp.media import NO_PORT, Direction, MediaRefused, MsrpMedia, Setup, answer, offer
from ims_core.wire.msrp.roles import answer_setup, can_answer_with_cema
from ims_core.wire.sdp import Origin, SdpParseError, SessionDescription
from rcs_sim.devices.policy import MediaSecurity, SessionPolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["OfferRules", "SessionOffer", "make_answer", "make_offer", "read_answer", "read_offer", "reanswer"]

_CPIM = "message/cpim"
_TLS_MEDIA = "msrpotls"


@dataclass(frozen=True, slots=True)
class OfferRules:
    """The policy of the device together with the document in force. *max_octets*: ``MaxSize`` of chat messages."""

    policy: SessionPolicy
    is_tls: bool
    max_octets: int

    @staticmethod
    def of(policy: SessionPolicy, document: RcsConfiguration) -> OfferRules:
        """Phones of one kind share them."""
        is_tls = {MediaSecurity.PLAIN: False, MediaSecurity.TLS: True}.get(policy.security)
        if is_tls is None:
            is_tls = document.ps_media.lower() == _TLS_MEDIA
        return _shared_rules(policy, is_tls, document.max_chat_octets)


@lru_cache(64)
def _shared_rules(policy: SessionPolicy, is_tls: bool, max_octets: int) -> OfferRules:
    return OfferRules(policy, is_tls, max_octets)


@dataclass(frozen=True, slots=True)
class SessionOffer:
    """An offer or an answer: as text, as its own side of the session, and as what of the peer it answers. The text is
    kept and not what was read of it: open sessions are many, and few of them are ever offered again."""

    octets: bytes
    local: MsrpMedia
    remote: MsrpMedia | None = None

    @classmethod
    def of(cls, description: SessionDescription, local: MsrpMedia, remote: MsrpMedia | None = None) -> Self:
        return cls(description.encode(), local, remote)

    @property
    def description(self) -> SessionDescription:
        return SessionDescription.parse(self.octets)

    def without_cema(self) -> SessionOffer:
        """The same offer once more (RFC 6714 §4.2)."""
        media = replace(self.local, has_cema=False)
        return SessionOffer.of(offer(media, self.description.origin.next()), media)

    def as_offer(self) -> SessionOffer:
        """What stands, as an offer that changes nothing (RFC 3264 §8): roles are open again, if this side listens."""
        setup = Setup.ACTIVE if self.local.port == NO_PORT else Setup.ACTPASS
        media = replace(self.local, setup=setup)
        return SessionOffer.of(offer(media, self.description.origin), media, self.remote)


def make_offer(
    side: MediaSide, rules: OfferRules, session_id: int, *, is_large: bool = False, has_fewer_types: bool = False
) -> SessionOffer:
    """The offer of a chat session, or of a large message: sendonly. A phone that can be reached leaves the roles open,
    one that cannot connects (RFC 6135 §4.2)."""
    policy = rules.policy
    setup = Setup.ACTPASS if policy.listens else Setup.ACTIVE
    media = replace(
        side.media(is_tls=rules.is_tls, setup=setup),
        accept_types=(_CPIM,) if is_large or has_fewer_types else policy.accept_types,
        accept_wrapped_types=policy.basic_wrapped_types if has_fewer_types else policy.accept_wrapped_types,
        has_cema=policy.has_cema,
        direction=Direction.SENDONLY if is_large else Direction.SENDRECV,
    )
    return SessionOffer.of(offer(media, Origin.of(media.host, session_id)), media)


def read_offer(octets: bytes) -> tuple[SessionDescription, int, MsrpMedia]:
    """The description of an INVITE, and the message session in it. Raises MediaRefused (488)."""
    try:
        description = SessionDescription.parse(octets)
    except SdpParseError as error:
        raise MediaRefused(f"SDP: {error}", spec=error.spec, raw=error.raw) from error
    index, media = MsrpMedia.of(description)
    if not media.accepts(_CPIM):
        raise MediaRefused("the peer takes no message/cpim", spec="RFC 4975 §8.6")
    if not media.direction.sends and not media.direction.receives:
        raise MediaRefused("an inactive session", spec="RFC 3264 §6.1")
    return description, index, media


def make_answer(
    side: MediaSide, rules: OfferRules, offered: tuple[SessionDescription, int, MsrpMedia], session_id: int
) -> SessionOffer:
    """The answer: active wherever the offer lets this phone choose and it wants so, recvonly for a large message.

    Raises MediaRefused if the peer has to connect and cannot reach this phone, or wants TLS of one without."""
    description, index, remote = offered
    policy = rules.policy
    if remote.is_tls and policy.security is MediaSecurity.PLAIN:
        raise MediaRefused("this phone knows plain TCP only", spec="RFC 3261 §21.4.26")
    is_reachable = policy.listens and remote.is_tls is rules.is_tls  # it listens for one of the two only
    setup = answer_setup(remote.setup, prefers_active=policy.answers_active, is_reachable=is_reachable)
    has_cema = policy.has_cema and can_answer_with_cema(remote, setup=setup)
    is_large = remote.direction is Direction.SENDONLY
    media = replace(
        side.media(is_tls=remote.is_tls, setup=setup),
        accept_types=(_CPIM,) if is_large else policy.accept_types,
        accept_wrapped_types=policy.accept_wrapped_types,
        has_cema=has_cema,
        direction=Direction.SENDRECV.answering(remote.direction),
        max_size=rules.max_octets if is_large else None,
    )
    answered = answer(description, index, media, Origin.of(media.host, session_id))
    return SessionOffer.of(answered, media, remote)


def reanswer(
    made: SessionOffer, offered: tuple[SessionDescription, int, MsrpMedia], *, is_active: bool
) -> SessionOffer:
    """The answer to an offer inside a session that goes on as it is. Raises MediaRefused if it would not: the session
    would have to be connected anew."""
    description, index, remote = offered
    if made.remote is None or [str(each) for each in remote.path] != [str(each) for each in made.remote.path]:
        raise MediaRefused("the offer moves the session to another path", spec="RFC 4975 §8.2")
    if remote.is_tls is not made.local.is_tls:
        raise MediaRefused("the offer changes the protocol of the session", spec="RFC 3264 §8.3")
    setup = Setup.ACTIVE if is_active else Setup.PASSIVE
    if setup is Setup.PASSIVE and made.local.port == NO_PORT:
        setup = Setup.ACTIVE
    media = replace(made.local, setup=setup, direction=Direction.SENDRECV.answering(remote.direction))
    return SessionOffer.of(answer(description, index, media, made.description.origin.next()), media, remote)


def read_answer(made: SessionOffer, octets: bytes) -> MsrpMedia:
    """The peer's side of our offer. Raises MediaRefused."""
    try:
        description = SessionDescription.parse(octets)
    except SdpParseError as error:
        raise MediaRefused(f"SDP: {error}", spec=error.spec, raw=error.raw) from error
    return MsrpMedia.of_answer(made.description, 0, description)

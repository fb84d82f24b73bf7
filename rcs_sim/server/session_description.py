"""SDP of one leg of a session: what the media anchor is to the peer of that leg (digest §4.5, §17.3; RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ims_core.errors import LocalProtocolError
from ims_core.reference_points import MediaSide
from ims_core.wire.msrp.media import NO_PORT, Direction, MediaRefused, MsrpMedia, Setup, answer, offer
from ims_core.wire.msrp.roles import answer_setup, can_answer_with_cema, plan_connection
from ims_core.wire.sdp import Origin, SdpParseError, SessionDescription
from rcs_sim.server.pager_content import ContentRefused
from rcs_sim.server.session_body import SDP_TYPE, description_in
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE

__all__ = ["NO_OFFER", "OWN_OFFER", "LegDescription", "OfferedMedia", "read_offer"]

OWN_OFFER = MsrpMedia(
    host="", port=0, is_tls=False, path=(), accept_types=(CPIM_CONTENT_TYPE, "application/im-iscomposing+xml"),
    accept_wrapped_types=("*",), setup=Setup.ACTPASS, direction=Direction.SENDRECV,
)  # fmt: skip
"""Types of an offer that this server makes for nobody else; where it leads to is the anchor's."""


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """An offer with the media at *index* that a session can use. Without *description* the INVITE asked for an offer,
    which goes into its 2xx (RFC 3264 §5)."""

    description: SessionDescription | None
    index: int
    media: MsrpMedia


NO_OFFER = OfferedMedia(None, 0, OWN_OFFER)


def read_offer(content_type: str, octets: bytes) -> OfferedMedia:
    """The offer of an INVITE, NO_OFFER for one without a body. Raises ContentRefused with 415 for a body without SDP,
    400 for one that cannot be read, 488 for one without media for message/cpim."""
    if not octets:
        return NO_OFFER
    body = description_in(content_type, octets)
    try:
        description = SessionDescription.parse(body)
        index, media = MsrpMedia.of(description)
    except SdpParseError as error:
        raise ContentRefused(400, f"malformed SDP: {error}"[:200]) from None
    except MediaRefused as refusal:
        raise ContentRefused(refusal.status, refusal.why[:200]) from None
    if not media.accepts(CPIM_CONTENT_TYPE):
        raise ContentRefused(488, "a=accept-types without message/cpim")
    return OfferedMedia(description, index, media)


class LegDescription:
    """Offer and answer of one leg. *number* is what o= begins with, *max_octets* what the anchor takes at most."""

    __slots__ = ("_again", "_is_active", "_latest", "_max_octets", "_number", "_octets", "_side", "local", "remote")

    def __init__(self, side: MediaSide, number: int, max_octets: int) -> None:
        self._side = side
        self._number = number
        self._max_octets = max_octets
        self._octets = b""  # what we said last
        self._latest: SessionDescription | None = None  # the same, while offer and answer are exchanged
        self._again = b""
        self._is_active = False
        self.local: MsrpMedia | None = None
        self.remote: MsrpMedia | None = None

    def at(self, side: MediaSide) -> LegDescription:
        """The same for another side of the anchor, before anything was said."""
        return LegDescription(side, self._number, self._max_octets)

    # -- as answerer -------------------------------------------------------------------------------------------------

    def check(self, offered: OfferedMedia, *, offers_tls: bool) -> None:
        """Raises ContentRefused if nobody could connect."""
        if offered.description is None:
            return
        try:
            if offered.media.is_tls and not offers_tls:
                raise MediaRefused("no TLS here")
            plan_connection(offered.media, self._answering(offered, offered.media), is_offerer=False)
        except MediaRefused as refusal:
            raise ContentRefused(refusal.status, refusal.why[:200]) from None

    def answer(self, offered: OfferedMedia, like: MsrpMedia) -> bytes:
        """The answer, with types, size and direction as *like* has them, which is the offer itself where nobody else
        is asked; the side is open then. Raises MediaRefused."""
        if offered.description is None:
            raise LocalProtocolError("an answer to no offer", spec="RFC 3264 §6")
        local = self._answering(offered, like)
        self._is_active = plan_connection(offered.media, local, is_offerer=False).is_active
        self._side.open(local, offered.media, is_offerer=False)
        self.local, self.remote = local, offered.media
        return self._say(answer(offered.description, offered.index, local, self._origin(local)))

    def _answering(self, offered: OfferedMedia, like: MsrpMedia) -> MsrpMedia:
        theirs = offered.media
        setup = answer_setup(theirs.setup)
        local = _in_service(self._side.media(is_tls=theirs.is_tls, setup=setup, like=like))
        mine = Direction.SENDRECV if like is theirs else like.direction
        return replace(
            local,
            has_cema=can_answer_with_cema(theirs, setup=setup),
            max_size=self._smallest(like),
            direction=mine.answering(theirs.direction),
        )

    # -- as offerer --------------------------------------------------------------------------------------------------

    def offer(self, like: MsrpMedia, *, is_tls: bool) -> bytes:
        """The offer, with types, size and direction of *like*; the peer may connect from now on. Raises MediaRefused:
        the anchor may have gone since the session was begun."""
        local = _in_service(self._side.media(is_tls=is_tls, setup=Setup.ACTPASS, like=like))
        local = self.local = replace(local, max_size=self._smallest(like))
        self._side.expect(local)
        return self._say(offer(local, self._origin(local)))

    def offer_without_cema(self) -> bytes:
        """The offer once more, for a peer whose anchor does not know CEMA (RFC 6714 §4.2)."""
        current = self._current
        if self.local is None or current is None:
            raise LocalProtocolError("no offer to be changed", spec="RFC 6714 §4.2")
        self.local = replace(self.local, has_cema=False)
        return self._say(offer(self.local, current.origin).following(current))

    def take_answer(self, octets: bytes, content_type: str = SDP_TYPE) -> MsrpMedia:
        """What the answer says; the side is open then. Raises MediaRefused, of which is_cema_in_the_way says that
        `offer_without_cema` may help."""
        current = self._current
        if current is None or self.local is None:
            raise LocalProtocolError("an answer without an offer", spec="RFC 3264 §4")
        try:
            answered = SessionDescription.parse(description_in(content_type, octets))
        except (SdpParseError, ContentRefused) as error:
            raise MediaRefused(f"malformed answer: {error}", raw=octets) from None
        remote = MsrpMedia.of_answer(current, 0, answered)
        if not remote.accepts(CPIM_CONTENT_TYPE):
            raise MediaRefused("a=accept-types without message/cpim")
        self._is_active = plan_connection(self.local, remote, is_offerer=True).is_active
        self._side.open(self.local, remote, is_offerer=True)
        self.remote = remote
        return remote

    def close(self) -> None:
        self._side.close()

    # -- later -------------------------------------------------------------------------------------------------------

    @property
    def as_offer(self) -> bytes:
        """The session as it stands, as an offer for refreshes (RFC 3264 §8); empty if media was rejected (choice), or
        while the anchor is out of service."""
        current, self._latest = self._current, None  # it stands from now on, perhaps for long
        if self.local is None or current is None or len(current.media) != 1:
            return b""
        # Where we connected, our answer had port 9: an offer says where we can be connected to (RFC 4145 §4.1).
        here = self._side.media(is_tls=self.local.is_tls, setup=Setup.ACTPASS, like=self.local)
        if here.port == NO_PORT:
            return b""
        offered = offer(replace(self.local, setup=Setup.ACTPASS, port=here.port), current.origin)
        self._again = offered.following(current).encode()
        return self._again

    def said(self, octets: bytes) -> None:
        """What was said last in this dialog: `as_offer`, if that was used."""
        if self._again and self._again == octets:
            self._octets, self._latest = self._again, None

    def answer_again(self, content_type: str, octets: bytes) -> bytes:
        """The answer to a further offer: a refresh, or one that holds (RFC 3264 §8.4). Where the peer is connected to
        does not change, and neither do types (choice). Raises ContentRefused; the session is then as before."""
        offered, local, remote = read_offer(content_type, octets), self.local, self.remote
        current = self._current
        if local is None or remote is None or current is None:
            raise ContentRefused(488, "there is no session yet")
        theirs = offered.media
        if offered.description is None or theirs.path != remote.path or theirs.is_tls != remote.is_tls:
            raise ContentRefused(488, "a session is not moved to another place: invite anew")
        if len(offered.description.media) < len(current.media):
            raise ContentRefused(488, "an m= line never goes away")
        setup = Setup.ACTIVE if self._is_active else Setup.PASSIVE
        mine = replace(local, setup=setup, has_cema=local.has_cema and theirs.has_cema)
        answered = answer(offered.description, offered.index, mine, current.origin)
        return self._say(answered.following(current))

    def _say(self, description: SessionDescription) -> bytes:
        self._latest, self._octets = description, description.encode()
        return self._octets

    @property
    def _current(self) -> SessionDescription | None:
        """What we said last. Read anew where the session stands: open sessions are many, offers in them few."""
        if self._latest is None and self._octets:
            return SessionDescription.parse(self._octets)
        return self._latest

    def _origin(self, local: MsrpMedia) -> Origin:
        return Origin.of(local.host, self._number)

    def _smallest(self, like: MsrpMedia) -> int:
        return self._max_octets if like.max_size is None else min(self._max_octets, like.max_size)


def _in_service(local: MsrpMedia) -> MsrpMedia:
    """What we say of our side. Raises MediaRefused if nobody can connect to it."""
    if local.port == NO_PORT and local.setup is not Setup.ACTIVE:
        raise MediaRefused("the MSRP relay is out of service", status=503)
    return local

"""How one key distribution server asks another (RCC.16 digest §14.7, choice): a deadline, retries with the same id, and
what is told apart where no answer comes: a peer that is down, slow, untrusted, or breaks off."""

from __future__ import annotations

from ims_core.errors import RemoteProtocolError, TransportError
from ims_core.transport.http_message import (
    HttpAnswerBroken,
    HttpClient,
    HttpPeerUntrusted,
    HttpResponse,
    HttpTimeout,
)
from rcs_sim.server.kds_actions import AskPeer
from rcs_sim.server.kds_claims import PeerFailure, PeerTrouble
from rcs_sim.server.kds_settings import KdsPeer, KdsSettings
from rcs_sim.wire.key_directory import KdsPath

__all__ = ["FederationLink"]


class FederationLink:
    """Requests to the other carriers' KDS. *http* shows this server's certificate and trusts the federation's
    authority only, where links have TLS."""

    __slots__ = ("_http", "_settings")

    def __init__(self, http: HttpClient, settings: KdsSettings) -> None:
        self._http = http
        self._settings = settings

    async def claim(self, ask: AskPeer) -> HttpResponse | PeerFailure:
        """The answer, after as many tries as the settings have."""
        body = ask.request.encode()
        failure = PeerFailure()
        for _ in range(self._settings.answer_tries):
            answer = await self._ask(ask.peer, ask.path, body)
            if isinstance(answer, HttpResponse):
                return answer
            failure = answer
        return failure

    async def anchors(self, peer: KdsPeer) -> bytes | PeerFailure:
        """The body that tells a peer's roots."""
        answer = await self._ask(peer, KdsPath.FEDERATION_ANCHORS, b"")
        if isinstance(answer, PeerFailure):
            return answer
        return answer.body if answer.status == 200 else PeerFailure(reason=f"answered {answer.status}")

    async def revocation_list(self, peer: KdsPeer) -> bytes | PeerFailure:
        """A peer's list of revoked certificates, as it is served."""
        answer = await self._ask(peer, KdsPath.FEDERATION_CRL, b"")
        if isinstance(answer, PeerFailure):
            return answer
        return answer.body if answer.status == 200 else PeerFailure(reason=f"answered {answer.status}")

    async def _ask(self, peer: KdsPeer, path: str, body: bytes) -> HttpResponse | PeerFailure:
        try:
            return await self._http.request(
                f"{peer.url}{path}",
                method="POST" if body else "GET",
                headers=(("Content-Type", "application/json"),) if body else (),
                body=body,
                timeout_s=self._settings.answer_timeout_s,
            )
        except (TransportError, RemoteProtocolError) as error:
            return PeerFailure(_trouble(error), str(error))


def _trouble(error: TransportError | RemoteProtocolError) -> PeerTrouble:
    match error:
        case HttpTimeout():
            return PeerTrouble.SLOW
        case HttpPeerUntrusted():
            return PeerTrouble.UNTRUSTED
        case HttpAnswerBroken() | RemoteProtocolError():
            return PeerTrouble.BROKEN
    return PeerTrouble.DOWN

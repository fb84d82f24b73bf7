"""How one key distribution server asks another (RCC.16 digest §14.7, choice): a deadline, retries with the same id, and
the difference between a peer that is down and one that is slow."""

from __future__ import annotations

from ims_core.errors import RemoteProtocolError, TransportError
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HttpClient, HttpResponse
from rcs_sim.server.kds_actions import AskPeer
from rcs_sim.server.kds_claims import PeerFailure
from rcs_sim.server.kds_settings import KdsPeer, KdsSettings
from rcs_sim.wire.key_directory import KdsPath

__all__ = ["FederationLink"]

_CLOCK_SLACK_S = 0.05  # of a timer that fires a little before its deadline


class FederationLink:
    """Requests to the other carriers' KDS. *http* shows this server's certificate and trusts the federation's
    authority only, where links have TLS."""

    __slots__ = ("_clock", "_http", "_settings")

    def __init__(self, http: HttpClient, clock: Clock, settings: KdsSettings) -> None:
        self._http = http
        self._clock = clock
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

    async def anchors(self, peer: KdsPeer) -> bytes | None:
        """The body that tells a peer's roots; None if it does not say."""
        answer = await self._ask(peer, KdsPath.FEDERATION_ANCHORS, b"")
        return answer.body if isinstance(answer, HttpResponse) and answer.status == 200 else None

    async def _ask(self, peer: KdsPeer, path: str, body: bytes) -> HttpResponse | PeerFailure:
        began_at, timeout_s = self._clock.now(), self._settings.answer_timeout_s
        try:
            return await self._http.request(
                f"{peer.url}{path}",
                method="POST" if body else "GET",
                headers=(("Content-Type", "application/json"),) if body else (),
                body=body,
                timeout_s=timeout_s,
            )
        except (TransportError, RemoteProtocolError):
            return PeerFailure(is_slow=self._clock.now() - began_at >= timeout_s - _CLOCK_SLACK_S)

"""One KDS asks another: tries, deadlines, and what is down or slow."""

from __future__ import annotations

import json

import pytest

from ims_core.errors import ConnectionLost, ConnectTimeout
from ims_core.transport.http_message import (
    HeaderFields,
    HttpAnswerBroken,
    HttpMessageError,
    HttpPeerUntrusted,
    HttpResponse,
    HttpTimeout,
)
from rcs_sim.server.kds_actions import AskPeer
from rcs_sim.server.kds_claims import PeerFailure, PeerTrouble
from rcs_sim.server.kds_federation import FederationLink
from rcs_sim.server.kds_settings import KdsSettings
from rcs_sim.wire.key_directory import ClaimRequest, FederationClaimRequest
from tests.support.kds import ALICE, BLUE, BOB

_SETTINGS = KdsSettings(kds=2, vendor_id=2, host="kds.red")
_ASK = AskPeer(
    BLUE.peer(),
    FederationClaimRequest(
        request_id="7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01",
        origin="kds.red",
        kds=2,
        requester_msisdn=ALICE,
        target_msisdn=BOB,
    ),
    ClaimRequest(target_msisdn=BOB),
)


class _Peer:
    """An HTTP client: each answer is a response, or why there was none."""

    def __init__(self, *answers: HttpResponse | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bytes]] = []
        self.patience: set[float] = set()

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        self.asked.append((method, url, body))
        self.patience.add(timeout_s)
        answer = self.answers.pop(0)
        if isinstance(answer, HttpResponse):
            return answer
        raise answer


def _link(peer: _Peer) -> FederationLink:
    return FederationLink(peer, _SETTINGS)


async def test_a_lost_answer_is_asked_for_again_with_the_same_id() -> None:
    peer = _Peer(HttpTimeout("slow"), ConnectionLost("down"), HttpResponse(200, body=b"{}"))
    assert await _link(peer).claim(_ASK) == HttpResponse(200, body=b"{}")
    assert len({json.loads(body)["request_id"] for _, _, body in peer.asked}) == 1
    assert {(method, url) for method, url, _ in peer.asked} == {
        ("POST", "http://127.0.2.41:8444/mls/v1/federation/claim")
    }
    assert peer.patience == {5.0}


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (HttpTimeout("no answer"), PeerTrouble.SLOW),
        (ConnectTimeout("nobody listens"), PeerTrouble.DOWN),
        (ConnectionLost("gone"), PeerTrouble.DOWN),
        (HttpPeerUntrusted("another name"), PeerTrouble.UNTRUSTED),
        (HttpAnswerBroken("cut off"), PeerTrouble.BROKEN),
        (HttpMessageError("no HTTP", spec="RFC 9112"), PeerTrouble.BROKEN),
    ],
)
async def test_after_three_tries_it_is_over_and_why_is_known(error: Exception, trouble: PeerTrouble) -> None:
    peer = _Peer(error, error, error, HttpResponse(200))
    assert await _link(peer).claim(_ASK) == PeerFailure(trouble, str(error))
    assert len(peer.asked) == 3


async def test_a_refusal_is_an_answer() -> None:
    assert (await _link(_Peer(HttpResponse(503))).claim(_ASK)) == HttpResponse(503)


async def test_roots_are_fetched_once() -> None:
    peer = _Peer(HttpResponse(200, body=b"roots"), HttpResponse(403), HttpTimeout("slow"))
    link = _link(peer)
    assert await link.anchors(BLUE.peer()) == b"roots"
    assert await link.anchors(BLUE.peer()) == PeerFailure(PeerTrouble.DOWN, "answered 403")
    assert await link.anchors(BLUE.peer()) == PeerFailure(PeerTrouble.SLOW, "slow")
    assert peer.asked[0] == ("GET", "http://127.0.2.41:8444/mls/v1/federation/anchors", b"")

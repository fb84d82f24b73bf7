"""Which list of trust anchors a phone holds, whatever a directory serves."""

from __future__ import annotations

import pytest

from ims_core.errors import ConnectTimeout
from ims_core.trace import ListSink, Trace
from ims_core.transport.http_message import HeaderFields, HttpResponse
from ims_core.transport.virtual_loop import RealClock
from rcs_sim.client.display import Display
from rcs_sim.client.e2ee.trusted_roots import TrustedRoots
from rcs_sim.client.kds_client import KdsCallRefused, KdsClient
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import SignedTrustList, TrustAnchorList, TrustListRefused, sign_trust_list
from rcs_sim.e2ee.vendor_pki import derive_key
from rcs_sim.wire.encryption_parameters import EncryptionParameters
from tests.support.kds import BLUE, NOW, RED

_KEYS = {name: derive_key(b"lists", name) for name in ("red", "blue")}


def _list(generation: int, signer: str = "red") -> bytes:
    payload = TrustAnchorList(generation, NOW, "lab", (RED.pki.anchor, BLUE.pki.anchor)).payload()
    return SignedTrustList(payload, sign_trust_list(payload, _KEYS[signer])).encode()


class _Http:
    """Serves what it is told to."""

    def __init__(self) -> None:
        self.answer: HttpResponse | Exception = HttpResponse(404)
        self.asked: list[str] = []

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        self.asked.append(url)
        if isinstance(self.answer, HttpResponse):
            return self.answer
        raise self.answer


class _Rig:
    def __init__(self) -> None:
        self.sink, trace = ListSink(), Trace()
        trace.add_sink(self.sink)
        self.roots = TrustedRoots(Display("alice", RealClock(), trace))
        self.http = _Http()

    async def fetch(self, generation: int, served: bytes | HttpResponse | Exception, signer: str = "red") -> bool:
        self.http.answer = HttpResponse(200, body=served) if isinstance(served, bytes) else served
        parameters = EncryptionParameters(
            kds_uri="https://kds",
            trust_anchors_uri=f"https://{signer}/lists",
            trust_anchors_generation=generation,
            trust_anchors_signer=spki_of_point(_KEYS[signer].public),
        )
        return await self.roots.fetch(KdsClient(self.http, "https://kds"), parameters)

    @property
    def generation(self) -> int | None:
        return None if self.roots.held is None else self.roots.held.generation


async def test_a_list_is_fetched_once_and_replaced_by_a_later_one() -> None:
    rig = _Rig()
    assert await rig.fetch(3, _list(3))
    assert not await rig.fetch(3, _list(3))
    assert await rig.fetch(4, _list(4))
    assert (rig.generation, len(rig.http.asked)) == (4, 2)


@pytest.mark.parametrize(
    ("served", "error"),
    [
        (_list(2), TrustListRefused),
        (_list(1, "blue"), TrustListRefused),
        (b"{}", TrustListRefused),
        (HttpResponse(404), KdsCallRefused),
        (ConnectTimeout("down"), ConnectTimeout),
    ],
)
async def test_without_a_list_there_is_nothing_to_keep(
    served: bytes | HttpResponse | Exception, error: type[Exception]
) -> None:
    rig = _Rig()
    with pytest.raises(error):
        await rig.fetch(1, served)
    assert (rig.generation, rig.roots.is_behind) == (None, False)


@pytest.mark.parametrize(
    ("named", "served"),
    [
        (6, _list(5)),
        (6, _list(7)),
        (6, _list(6, "blue")),
        (4, _list(4)),
        (6, HttpResponse(503)),
        (6, ConnectTimeout("down")),
        (6, b"\xff"),
    ],
    ids=["older", "newer", "other signer", "named backwards", "refused", "down", "junk"],
)
async def test_whatever_is_wrong_the_old_list_is_kept_and_said(
    named: int, served: bytes | HttpResponse | Exception
) -> None:
    rig = _Rig()
    await rig.fetch(5, _list(5))
    assert not await rig.fetch(named, served)
    assert (rig.generation, rig.roots.is_behind) == (5, True)
    assert [one.details["state"] for one in rig.sink.records] == ["kept"]
    assert await rig.fetch(6, _list(6))
    assert not rig.roots.is_behind


async def test_generations_of_two_signers_say_nothing_about_each_other() -> None:
    rig = _Rig()
    await rig.fetch(5, _list(5))
    assert await rig.fetch(1, _list(1, "blue"), "blue")
    assert await rig.fetch(1, _list(1))
    rig.roots.forget()
    assert await rig.fetch(1, _list(1))

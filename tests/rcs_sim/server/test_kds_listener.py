"""The shell of a KDS: nothing is said before it is kept, peers are who their link says, roots are polled."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cryptography import x509

import rcs_sim
from ims_core.errors import ConnectTimeout
from ims_core.store.key_directory import REVOKED_CERTIFICATES, RevokedCertificate
from ims_core.store.memory import MemoryStore, MemoryTable
from ims_core.store.prekey_directory import PREKEYS
from ims_core.store.record_table import RecordTable, RecordType, StoreError
from ims_core.trace import ListSink, Trace
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HeaderFields, HttpRequest, HttpResponse
from ims_core.transport.virtual_loop import VirtualClock
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.server.kds_federation import FederationLink
from rcs_sim.server.kds_listener import KdsListener
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import (
    ClaimRequest,
    EnrolmentResponse,
    FederationAnchor,
    FederationAnchors,
    FederationClaimRequest,
    KdsPath,
)
from rcs_sim.wire.prekey_directory import PrekeyPath
from tests.support.kds import ALICE, BLUE, BOB, NOW, RED, Device, KdsSide, prekeys_of


class _FullTable(MemoryTable[Any]):
    async def put(self, record: Any) -> None:
        raise StoreError("the disk is full")


class _FullStore(MemoryStore):
    is_full = False

    def table(self, record_type: RecordType[Any]) -> RecordTable[Any]:
        return _FullTable(record_type) if self.is_full else super().table(record_type)


class _SlowTable(MemoryTable[Any]):
    """Writes when it is let to, and then well or not."""

    def __init__(self, record_type: RecordType[Any], store: _SlowStore) -> None:
        super().__init__(record_type)
        self._store = store

    async def put(self, record: Any) -> None:
        await self._store.is_free.wait()
        if self._store.is_full:
            raise StoreError("the disk is full")
        await super().put(record)


class _SlowStore(_FullStore):
    def __init__(self) -> None:
        super().__init__()
        self.is_free = asyncio.Event()
        self.is_free.set()

    def table(self, record_type: RecordType[Any]) -> RecordTable[Any]:
        found = self._tables.get(record_type.name)
        if found is None:
            found = self._tables[record_type.name] = _SlowTable(record_type, self)
        return found


class _Far:
    """The other carrier's KDS behind an HTTP client."""

    def __init__(self, side: KdsSide | None) -> None:
        self.side = side
        self.roots: HttpResponse | None = None
        self.asked = 0

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        self.asked += 1
        path = "/" + url.split("/", 3)[3]
        if path == KdsPath.FEDERATION_ANCHORS and self.roots is not None:
            return self.roots
        if self.side is None:
            raise ConnectTimeout("down")
        return self.side.federation(path, body, RED)


class _FixedClock:
    """Starts at the time of the tests' certificates and goes on with the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._began = clock, clock.now()

    def now(self) -> float:
        return NOW + self._clock.now() - self._began


class _Rig:
    def __init__(self, far: KdsSide | None = None) -> None:
        self.side = KdsSide()
        self.far = _Far(far)
        self.store = _FullStore()
        self.sink, trace = ListSink(), Trace()
        trace.add_sink(self.sink)
        clock = _FixedClock(VirtualClock())
        link = FederationLink(self.far, self.side.server.settings)
        self.listener = KdsListener("red.kds", self.side.server, link, clock=clock, store=self.store, trace=trace)

    async def call(self, path: str, body: bytes = b"") -> HttpResponse:
        request = HttpRequest("POST" if body else "GET", path, body=body, peer="10.1.0.1:5")
        return await self.listener.handle(request)

    async def join(self, device: Device) -> None:
        answer = await self.call(KdsPath.CERTIFICATE, device.request(RED).encode())
        assert answer.status == 200
        device.certified(EnrolmentResponse.parse(answer.body))
        assert (await self.call(KdsPath.KEY_PACKAGES, device.upload(2).encode())).status == 200

    def outcomes(self, about: str = "") -> list[Any]:
        told = [record for record in self.sink.records if "outcome" in record.details and about in record.summary]
        return [record.details["outcome"] for record in told]


def _run(work: Any) -> None:
    async def main() -> None:
        await work()

    rcs_sim.run(main, clock="virtual")


def test_what_was_answered_survives_a_restart() -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        await rig.join(Device(ALICE))
        claim = ClaimRequest(target_msisdn=ALICE, requester_msisdn=ALICE).encode()
        first = await rig.call(KdsPath.CLAIM, claim)
        await rig.listener.close()
        again = _Rig()
        again.store = rig.store
        again.listener._store = rig.store
        await again.listener.start()
        second = await again.call(KdsPath.CLAIM, claim)
        assert first.status == second.status == 200
        assert first.body != second.body
        await again.listener.close()

    _run(work)


def test_what_the_operator_has_revoked_stays_so_after_a_restart_until_he_takes_it_off_the_list() -> None:
    async def restarted(rig: _Rig) -> _Rig:
        await rig.listener.close()
        again = _Rig()
        again.store = rig.store
        again.listener._store = rig.store
        await again.listener.start()
        return again

    async def work() -> None:
        rig, device = _Rig(), Device(ALICE)
        await rig.listener.start()
        await rig.join(device)
        serial = read_certificate(device.chain[0]).serial
        await rig.listener.revoke([serial, b"\x05"])
        rig = await restarted(rig)
        assert set(rig.side.server.anchors.revoked_serials) == {serial, b"\x05"}
        refused = await rig.call(KdsPath.KEY_PACKAGES, device.upload(2).encode())
        assert json.loads(refused.body)["error"] == "bad_key_package"
        assert len(x509.load_der_x509_crl((await rig.call(KdsPath.CRL)).body)) == 2
        await rig.listener.revoke([b"\x05"])
        rig = await restarted(rig)
        assert rig.side.server.anchors.revoked_serials == (b"\x05",)
        assert (await rig.call(KdsPath.KEY_PACKAGES, device.upload(2).encode())).status == 200
        await rig.listener.close()

    _run(work)


def test_a_revocation_that_could_not_be_kept_is_said_and_kept_when_it_comes_again() -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        rig.store.is_full = True
        with pytest.raises(StoreError):
            await rig.listener.revoke([b"\x05"])
        assert rig.side.server.anchors.revoked_serials == (b"\x05",)
        rig.store.is_full = False
        await rig.listener.revoke([b"\x05"])
        assert await rig.store.table(REVOKED_CERTIFICATES).load_all() == [RevokedCertificate(b"\x05")]
        await rig.listener.close()

    _run(work)


def test_a_full_disk_is_said_and_the_same_package_is_not_given_to_two() -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        await rig.join(Device(ALICE))
        rig.store.is_full = True
        claim = ClaimRequest(target_msisdn=ALICE).encode()
        answer = await rig.call(KdsPath.CLAIM, claim)
        assert (answer.status, json.loads(answer.body)["error"]) == (503, "unavailable")
        rig.store.is_full = False
        served = json.loads((await rig.call(KdsPath.CLAIM, claim)).body)["key_package"]
        assert served != json.loads((await rig.call(KdsPath.CLAIM, claim)).body)["key_package"]
        await rig.listener.close()

    _run(work)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"scheme": "https", "client_names": (BLUE.host,)}, 200),
        ({"scheme": "https", "client_names": ("x", BLUE.host.upper())}, 200),
        ({"scheme": "https", "client_names": ("kds.mallory",), "peer": "127.0.2.41:5"}, 403),
        ({"scheme": "https", "peer": "127.0.2.41:5"}, 403),
        ({"scheme": "http", "peer": "127.0.2.41:5"}, 200),
        ({"scheme": "http", "peer": "127.0.3.41:5"}, 403),
        ({"scheme": "http"}, 403),
    ],
)
def test_a_peer_is_who_its_certificate_or_address_says(request_: dict[str, Any], status: int) -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        answer = await rig.listener.handle_federation(HttpRequest("GET", KdsPath.FEDERATION_ANCHORS, **request_))
        assert answer.status == status
        await rig.listener.close()

    _run(work)


def test_a_claim_goes_through_and_a_peer_that_is_cut_off_is_down() -> None:
    async def work() -> None:
        blue = KdsSide(BLUE, RED).start()
        blue.join(BOB)
        rig = _Rig(blue)
        await rig.listener.start()
        claim = ClaimRequest(target_msisdn=BOB, requester_msisdn=ALICE, kds=1).encode()
        assert (await rig.call(KdsPath.CLAIM, claim)).status == 200
        rig.side.server.fault = KdsFault(peers_down=frozenset({1}))
        assert (await rig.call(KdsPath.CLAIM, claim)).status == 502
        assert rig.outcomes() == [0, "peer_down"]
        await rig.listener.close()

    _run(work)


def test_roots_are_polled_every_day_and_a_peer_that_lies_is_not_believed() -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        new = VendorPki.derive(b"new", vendor_id=1, kds=1, operator="blue", now_s=NOW)
        anchor = FederationAnchor(vendor_id=1, kds=1, der=new.root_der)
        rig.far.roots = HttpResponse(200, body=FederationAnchors(2, (anchor,)).encode())
        await asyncio.sleep(86_401)
        assert rig.side.server.anchors.generation == 2
        rig.far.roots = HttpResponse(200, body=b"{}")
        await asyncio.sleep(86_400)
        rig.far.roots = None
        await asyncio.sleep(86_400)
        assert rig.outcomes("roots") == ["anchors_refused", "peer_down"]
        assert rig.far.asked == 2 * 3  # for roots, and for what is revoked
        await rig.listener.close()

    _run(work)


def test_a_newer_generation_in_an_answer_is_fetched_at_once() -> None:
    async def work() -> None:
        blue = KdsSide(BLUE, RED).start()
        blue.join(BOB)
        rig = _Rig(blue)
        await rig.listener.start()
        moved = VendorPki.derive(b"x", vendor_id=2, kds=2, operator="red", now_s=NOW)
        told = FederationAnchors(2, (FederationAnchor(vendor_id=2, kds=2, der=moved.root_der),))
        blue.server.anchors_told(RED.peer(), told.encode(), NOW)
        assert blue.server.anchors.generation == 2
        claim = ClaimRequest(target_msisdn=BOB, requester_msisdn=ALICE, kds=1).encode()
        assert (await rig.call(KdsPath.CLAIM, claim)).status == 200
        await asyncio.sleep(1)
        assert rig.far.asked == 2
        assert not rig.side.server.anchors.is_behind(BLUE.peer(), 2)
        await rig.listener.close()

    _run(work)


_REPEATED = FederationClaimRequest(
    request_id="7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01",
    origin=BLUE.host,
    kds=BLUE.kds,
    requester_msisdn=BOB,
    target_msisdn=ALICE,
).encode()


@pytest.mark.parametrize("is_full", [False, True])
def test_a_repeated_claim_is_not_answered_before_the_first_one_is_kept(is_full: bool) -> None:
    """What it would tell is stored by nobody yet: after a kill the same package would be given to another."""

    async def work() -> None:
        rig = _Rig()
        rig.store = rig.listener._store = store = _SlowStore()
        await rig.listener.start()
        await rig.join(Device(ALICE))
        store.is_free.clear()
        asked = HttpRequest("POST", KdsPath.FEDERATION_CLAIM, body=_REPEATED, scheme="https", client_names=(BLUE.host,))
        answers: list[HttpResponse] = []

        async def claim() -> None:
            answers.append(await rig.listener.handle_federation(asked))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(claim())
                await asyncio.sleep(1)
            assert answers == []
            store.is_full = is_full
            store.is_free.set()
        assert [each.status for each in answers] == ([503, 503] if is_full else [200, 200])
        assert answers[0].body == answers[1].body
        store.is_full = False
        again = await rig.listener.handle_federation(asked)
        assert again.status == 200
        assert (again.body == answers[0].body) is not is_full
        await rig.listener.close()

    _run(work)


def test_a_slow_server_answers_late() -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        rig.side.server.fault = KdsFault(delay_s=7)
        began_at = asyncio.get_running_loop().time()
        await rig.call(KdsPath.CIPHER_SUITES)
        assert asyncio.get_running_loop().time() - began_at >= 7
        await rig.listener.close()

    _run(work)


def test_a_number_with_a_new_owner_is_forgotten_by_the_store_too() -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        await rig.join(Device(ALICE))
        assert (await rig.call(PrekeyPath.PREKEYS, prekeys_of(ALICE).encode())).status == 200
        assert len(await rig.store.table(PREKEYS).load_all()) == 1
        await rig.listener.forget(ALICE)
        tables = rig.store._tables
        assert {name: len(table._records) for name, table in tables.items() if name != "directory_anchors"} == {
            "directory_clients": 0,
            "key_packages": 0,
            "spent_key_packages": 0,
            "answered_claims": 0,
            "prekeys": 0,
            "answered_prekey_claims": 0,
            "directory_revocations": 0,
            "revoked_certificates": 0,
        }
        await rig.listener.close()

    _run(work)


def test_what_two_requests_change_is_written_in_the_order_of_their_decisions() -> None:
    """An upload has many changes and the enrolment after it one: it must not overtake."""

    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        device = Device(ALICE)
        await rig.join(device)
        upload, renewal = device.upload(3).encode(), device.request(RED).encode()
        await asyncio.gather(
            rig.call(KdsPath.KEY_PACKAGES, upload),
            rig.call(KdsPath.CERTIFICATE, renewal),
            rig.call(KdsPath.KEY_PACKAGES, device.upload(1).encode()),
            rig.call(KdsPath.CERTIFICATE, renewal),
        )
        (stored,) = rig.store._tables["directory_clients"]._records.values()
        assert stored == rig.side.server.directory.client(ALICE, device.client_id)
        await rig.listener.close()

    _run(work)


def test_phones_get_the_list_of_another_carrier_as_that_has_signed_it() -> None:
    async def work() -> None:
        blue = KdsSide(BLUE, RED).start()
        blue.server.revoke([b"\x05"], NOW)
        rig = _Rig(blue)
        await rig.listener.start()
        first = await rig.call(f"{KdsPath.CRL}/1")
        assert first.status == 200
        assert first.body == BLUE.pki.crl_der(NOW, (b"\x05",))
        assert rig.side.server.anchors.revoked == RevokedCertificates.of((), {1: [b"\x05"]})
        assert (await rig.call(f"{KdsPath.CRL}/1")).body == first.body
        assert rig.far.asked == 1  # it is fresh
        rig.far.side = None
        await asyncio.sleep(3700)
        assert (await rig.call(f"{KdsPath.CRL}/1")).body == first.body
        assert rig.outcomes() == ["peer_down"]
        await rig.listener.close()
        again = _Rig()
        again.listener._store = rig.store
        await again.listener.start()
        assert again.side.server.anchors.revoked == RevokedCertificates.of((), {1: [b"\x05"]})
        await again.listener.close()

    _run(work)


@pytest.mark.parametrize("listed", [b"", b"\x30\x00", RED.pki.crl_der(NOW, (b"\x05",))])
def test_a_list_that_its_carrier_has_not_signed_is_not_handed_on(listed: bytes) -> None:
    async def work() -> None:
        blue = KdsSide(BLUE, RED).start()
        blue.server.fault = KdsFault(revocation_list=listed)
        rig = _Rig(blue)
        await rig.listener.start()
        assert (await rig.call(f"{KdsPath.CRL}/1")).status == 503
        assert rig.outcomes() == ["revocations_refused"]
        assert not rig.side.server.anchors.revoked
        await rig.listener.close()

    _run(work)


@pytest.mark.parametrize(("number", "status"), [("2", 200), ("7", 404), ("x", 404), ("-1", 404), ("9" * 400, 404)])
def test_only_directories_that_are_known_have_lists(number: str, status: int) -> None:
    async def work() -> None:
        rig = _Rig()
        await rig.listener.start()
        assert (await rig.call(f"{KdsPath.CRL}/{number}")).status == status
        assert rig.far.asked == 0
        await rig.listener.close()

    _run(work)


def test_however_many_phones_want_a_list_its_carrier_is_asked_once_a_minute() -> None:
    async def work() -> None:
        rig = _Rig()  # whose peer is down
        await rig.listener.start()
        answers = await asyncio.gather(*(rig.call(f"{KdsPath.CRL}/1") for _ in range(200)))
        assert {each.status for each in answers} == {503}
        assert rig.far.asked == 1
        rig.far.side = KdsSide(BLUE, RED).start()
        await asyncio.sleep(59)
        assert (await rig.call(f"{KdsPath.CRL}/1")).status == 503
        await asyncio.sleep(2)
        assert (await rig.call(f"{KdsPath.CRL}/1")).status == 200
        assert rig.far.asked == 2
        await rig.listener.close()

    _run(work)

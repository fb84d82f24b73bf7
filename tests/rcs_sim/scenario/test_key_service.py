"""Key distribution servers in a whole lab: in memory, and on sockets with mutual TLS between the carriers."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rcs_sim
from ims_core.errors import ConnectTimeout
from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.http_sockets import SocketHttpClient
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import Transport
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.key_package_profile import verify_claimed_package
from rcs_sim.e2ee.trust_anchors import read_trust_list
from rcs_sim.scenario.key_service import KeyService, directory_numbers
from rcs_sim.scenario.lab import Carrier, Lab
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import CarrierEntry
from rcs_sim.scenario.world import MemoryWorld, SocketWorld, World
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.autoconfig import ProvisioningDocument
from rcs_sim.wire.encryption_parameters import EncryptionParameters, participant_key_value
from rcs_sim.wire.key_directory import ClaimOutcome, ClaimRequest, FederationClaimRequest, KdsPath
from rcs_sim.wire.rcs_configuration import RcsConfiguration
from tests.support.kds import Device

_ALICE, _BOB = "12025550101", "12025550152"
_UUID = "7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"


def _lab(world: World, **members: Any) -> Lab:
    secrets = world.secrets if isinstance(world, SocketWorld) else world.tokens.child("secrets")
    network = load_network("two-carriers-plain").model_copy(update={"e2ee": True, **members})
    return Lab(network, world, secrets=secrets, file="net.yaml")


def _service(carrier: Carrier) -> KeyService:
    assert carrier.key_service is not None
    return carrier.key_service


class _Phone:
    """As much of a phone as enrolment needs."""

    def __init__(self, lab: Lab, carrier: str, msisdn: str) -> None:
        self.carrier = lab.carriers[carrier]
        self.device = Device(msisdn)
        headers = (("X-MSISDN", f"+{msisdn}"),)
        self.http = lab.world.http_client(f"phone {msisdn}", lab.world.phone_host(1, 1), headers)
        self.clock = lab.world.clock

    async def parameters(self) -> EncryptionParameters:
        key = participant_key_value(self.device.participant.spki)
        url = f"{self.carrier.acs_url}?vers=0&rcs-sim-participant-key={key}"
        response = await self.http.request(url, timeout_s=5)
        if response.status == 302:
            cookie = response.set_cookies()[0]
            url = response.header("Location") or ""
            headers = (("Cookie", f"{cookie.name}={cookie.value}"),)
            response = await self.http.request(url, headers=headers, timeout_s=5)
        found = RcsConfiguration.from_document(ProvisioningDocument.parse(response.body)).encryption
        assert found is not None
        return found

    async def enrol(self) -> KdsClient:
        parameters = await self.parameters()
        kds = KdsClient(self.http, parameters.kds_uri)
        signer, generation = parameters.trust_anchors_signer, parameters.trust_anchors_generation
        assert generation is not None
        octets = await kds.trust_list(parameters.trust_anchors_uri, generation)
        self.trust = read_trust_list(octets, signer, generation, None).trust()
        now_s = int(self.clock.now())
        request = self.device.request_with(parameters.identity_proof, _service(self.carrier).plan.kds, now_s)
        self.device.certified(await kds.enrol(request))
        CertificateValidator(self.trust, Strictness.STRICT).validate(self.device.chain, now_s)
        stored = await kds.upload(self.device.upload(2))
        assert stored.stored == 3
        return kds

    async def close(self) -> None:
        if isinstance(self.http, SocketHttpClient):
            await self.http.close()


async def _claim(lab: Lab) -> None:
    alice, bob = _Phone(lab, "red", _ALICE), _Phone(lab, "blue", _BOB)
    try:
        kds = await alice.enrol()
        await bob.enrol()
        claim = ClaimRequest(target_msisdn=_BOB, requester_msisdn=_ALICE, kds=1)
        result = await kds.claim(claim)
        assert result.outcome is ClaimOutcome.SERVED, result
        now_s = int(lab.world.clock.now())
        for package in result.key_packages:
            found = verify_claimed_package(package.key_package, msisdn=_BOB, trust=alice.trust, now_s=now_s)
            assert found.client_id == bob.device.client_id
        assert _service(lab.carriers["blue"]).server.directory.pool_sizes(_BOB) == {bob.device.client_id: 2}
        nobody = await kds.claim(ClaimRequest(target_msisdn="12025550153", kds=1))
        assert nobody.outcome is ClaimOutcome.PEER_HAS_NONE
        stranger = await kds.claim(ClaimRequest(target_msisdn="12025550159", kds=1))
        assert stranger.outcome is ClaimOutcome.REFUSED
        _service(lab.carriers["blue"]).server.fault = KdsFault(is_down=True)
        down = await kds.claim(claim)
        assert down.outcome is ClaimOutcome.TRANSPORT_FAILED
    finally:
        await alice.close()
        await bob.close()


def _run(world: Callable[[], World], work: Callable[[Lab], Awaitable[None]], clock: str, **members: Any) -> None:
    async def main() -> None:
        lab = _lab(world(), **members)
        await lab.start()
        try:
            await work(lab)
        finally:
            await lab.close()

    rcs_sim.run(main, clock=clock)


def test_phones_of_two_carriers_enrol_and_claim_in_memory() -> None:
    sink, trace = ListSink(), Trace()
    trace.add_sink(sink)
    _run(lambda: MemoryWorld(1, trace), _claim, "virtual")
    kds = {record.summary for record in sink.records if record.protocol == "KDS"}
    assert f"claim of +{_BOB}: 1 served, for kds.ims.mnc001.mcc001.3gppnetwork.org" in kds
    points = {record.reference_point for record in sink.records if "federation" in record.summary}
    assert points == {"NNI"}
    assert any("peer_down" in str(record.details) for record in sink.records if record.kind is RecordKind.STATE)


@pytest.mark.parametrize("with_tls", [False, True])
def test_phones_of_two_carriers_enrol_and_claim_on_sockets(tmp_path: Path, with_tls: bool) -> None:
    def world() -> SocketWorld:
        return SocketWorld(Trace(), state=tmp_path, with_tls=with_tls, ports="free")

    async def work(lab: Lab) -> None:
        await _claim(lab)
        document = lab.document(state=None)
        for carrier in document.carriers.values():
            assert (carrier.kds or "").startswith("https://" if with_tls else "http://")

    _run(world, work, "real")
    assert (tmp_path / "federation" / "ca.pem").exists()


def test_the_same_seed_makes_the_same_authorities_and_another_one_others() -> None:
    def roots(seed: int) -> tuple[bytes, ...]:
        found: list[tuple[bytes, ...]] = []

        async def main() -> None:
            found.append(tuple(anchor.der for anchor in _lab(MemoryWorld(seed, Trace())).anchors))

        rcs_sim.run(main, clock="virtual")
        return found[0]

    assert roots(1) == roots(1)
    assert set(roots(1)).isdisjoint(roots(2))
    assert len(roots(1)) == 2


def test_a_restart_on_the_same_state_keeps_authorities_packages_and_generation(tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []

    async def first(lab: Lab) -> None:
        phone = _Phone(lab, "blue", _BOB)
        await phone.enrol()
        await phone.close()
        seen.append((lab.anchors, phone.device.client_id))

    async def second(lab: Lab) -> None:
        service = _service(lab.carriers["blue"])
        assert (lab.anchors, service.server.anchors.generation) == (seen[0][0], 1)
        assert service.server.directory.pool_sizes(_BOB) == {seen[0][1]: 3}
        phone = _Phone(lab, "red", _ALICE)
        kds = await phone.enrol()
        result = await kds.claim(ClaimRequest(target_msisdn=_BOB, requester_msisdn=_ALICE, kds=1))
        assert [each.client_id for each in result.key_packages] == [seen[0][1]]
        await phone.close()

    def world() -> SocketWorld:
        return SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free")

    _run(world, first, "real")
    _run(world, second, "real")


def test_a_client_without_the_federations_certificate_does_not_get_in(tmp_path: Path) -> None:
    def world() -> SocketWorld:
        return SocketWorld(Trace(), state=tmp_path, with_tls=True, ports="free")

    async def work(lab: Lab) -> None:
        world = lab.world
        assert isinstance(world, SocketWorld)
        plan = _service(lab.carriers["blue"]).plan
        url = f"https://{plan.host_name}:{plan.federation.port}{KdsPath.FEDERATION_CLAIM}"
        body = FederationClaimRequest(
            request_id=_UUID,
            origin="kds.ims.mnc001.mcc001.3gppnetwork.org",
            kds=2,
            requester_msisdn=_ALICE,
            target_msisdn=_BOB,
        ).encode()
        assert world.federation_ca is not None
        other_ca = LabCa(tmp_path / "other")
        stranger = world.federation_ca.client_context("kds.mallory")
        old = world.federation_ca.client_context("kds.ims.mnc001.mcc001.3gppnetwork.org")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        foreign = other_ca.client_context("kds.ims.mnc001.mcc001.3gppnetwork.org")
        foreign.load_verify_locations(world.federation_ca.certificate_path)
        for tls in (world.federation_ca.client_context(), old, foreign):
            client = _client(world, tls)
            with pytest.raises(ConnectTimeout):
                await client.request(url, method="POST", body=body, timeout_s=5)
            await client.close()
        client = _client(world, stranger)
        answer = await client.request(url, method="POST", body=body, timeout_s=5)
        assert answer.status == 403
        await client.close()

    _run(world, work, "real")


def _client(world: SocketWorld, tls: ssl.SSLContext) -> SocketHttpClient:
    return SocketHttpClient(
        "client", clock=world.clock, trace=world.trace, book=world.network.book, tls=tls, names=world.names
    )


def test_a_server_that_is_not_the_peer_is_not_believed(tmp_path: Path) -> None:
    """The one that answers has a certificate of the federation, but another name."""
    sink, trace = ListSink(), Trace()
    trace.add_sink(sink)

    def world() -> SocketWorld:
        return SocketWorld(trace, state=tmp_path, with_tls=False, ports="free")

    async def work(lab: Lab) -> None:
        red, blue = (_service(lab.carriers[name]) for name in ("red", "blue"))
        assert blue.plan.federation.transport is Transport.TLS
        lab.world.names.remove(blue.plan.host_name)
        lab.world.names.add(blue.plan.host_name, red.plan.federation)
        elsewhere = f"https://{blue.plan.host_name}:{red.plan.federation.port}"
        red.server.peers._by_kds[1] = replace(blue.plan.peer(), url=elsewhere)
        phone = _Phone(lab, "red", _ALICE)
        result = await KdsClient(phone.http, red.uri).claim(ClaimRequest(target_msisdn=_BOB, kds=1))
        assert result.outcome is ClaimOutcome.TRANSPORT_FAILED
        await phone.close()

    _run(world, work, "real")
    outcomes = [record.details.get("outcome") for record in sink.records if record.protocol == "KDS"]
    assert outcomes == ["peer_untrusted"]


def test_a_slow_peer_and_one_that_is_down_are_told_apart_in_virtual_time() -> None:
    sink, trace = ListSink(), Trace()
    trace.add_sink(sink)

    async def work(lab: Lab) -> None:
        red, blue = (_service(lab.carriers[name]) for name in ("red", "blue"))
        phone = _Phone(lab, "red", _ALICE)
        kds = KdsClient(phone.http, red.uri)
        claim = ClaimRequest(target_msisdn=_BOB, kds=1)
        blue.server.fault = KdsFault(delay_s=60)
        began_at = lab.world.clock.now()
        assert (await kds.claim(claim)).outcome is ClaimOutcome.TRANSPORT_FAILED
        assert 15 <= lab.world.clock.now() - began_at < 16
        red.server.fault = KdsFault(peers_down=frozenset({1}))
        assert (await kds.claim(claim)).outcome is ClaimOutcome.TRANSPORT_FAILED
        red.server.fault = KdsFault()
        await blue.close()
        assert (await kds.claim(claim)).outcome is ClaimOutcome.TRANSPORT_FAILED

    _run(lambda: MemoryWorld(1, trace), work, "virtual")
    outcomes = [record.details.get("outcome") for record in sink.records if record.protocol == "KDS"]
    assert [each for each in outcomes if str(each).startswith("peer")] == ["peer_slow", "peer_down", "peer_down"]


def test_revoked_certificates_of_the_network_file_count_from_the_start_and_after_a_restart(tmp_path: Path) -> None:
    serials: list[str] = []

    async def first(lab: Lab) -> None:
        phone = _Phone(lab, "blue", _BOB)
        await phone.enrol()
        await phone.close()
        serials.append(read_certificate(phone.device.chain[0]).serial.hex())

    async def second(lab: Lab) -> None:
        service = _service(lab.carriers["blue"])
        assert set(service.server.directory.pool_sizes(_BOB).values()) == {0}

    def world() -> SocketWorld:
        return SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free")

    _run(world, first, "real")
    _run(world, second, "real", revoked_serials=serials)


def test_a_network_without_encryption_has_no_key_service() -> None:
    async def main() -> None:
        world = MemoryWorld(1, Trace())
        network = load_network("two-carriers-plain").model_copy(update={"e2ee": False})
        lab = Lab(network, world, secrets=world.tokens.child("secrets"), file="net.yaml")
        assert lab.anchors == ()
        assert lab.carriers["red"].key_service is None
        assert "kds" not in lab.carriers["red"].hosts()

    rcs_sim.run(main, clock="virtual")


def test_directories_without_a_number_get_the_next_free_one() -> None:
    def entry(kds: int | None) -> CarrierEntry:
        return CarrierEntry(
            profile="p", domain="d", addresses="127.0.1.0/24", smsc="+12025550199", prefixes=["+1"], kds=kds
        )

    assert directory_numbers([entry(None), entry(None), entry(None)]) == [2, 1, 3]
    assert directory_numbers([entry(None), entry(2), entry(None)]) == [1, 2, 3]

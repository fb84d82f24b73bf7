"""The autoconfiguration server and encryption: who gets a proof, for which key, and who notices nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ims_core.store.configuration import CONFIGURATIONS, ConfigurationRecord
from ims_core.store.record_codec import RecordCodec
from ims_core.transport.http_message import HeaderFields, HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.client.provisioning_values import Access
from rcs_sim.e2ee.acs_proof import PROOF_LIFE_S, AcsProof
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.mls.signature import ECDSA_P256
from rcs_sim.server.config_encryption import EncryptionService, EncryptionSettings
from rcs_sim.server.config_server import ConfigServer
from rcs_sim.server.config_settings import ConfigServerSettings
from rcs_sim.wire.encryption_parameters import EncryptionParameters, MlsServerProperties, participant_key_value
from rcs_sim.wire.rcs_configuration import RcsConfiguration
from tests.support.acs import ALICE, AcsPair, SubscriberTable, document_of, response_of

_NOW = 1_000_000.0
_PROOF_KEY = ECDSA_P256.generate(Tokens("proof key").octets)
_PROOF_SPKI = spki_of_point(_PROOF_KEY.public)
_KEYS = [spki_of_point(ECDSA_P256.generate(Tokens(f"participant {n}").octets).public) for n in range(3)]


def _service(generation: Callable[[], int] = lambda: 1) -> EncryptionService:
    return EncryptionService(
        EncryptionSettings(
            proof_key=_PROOF_KEY,
            kds_uri="http://127.0.1.41:80",
            trust_anchors_uri="http://127.0.1.41:80/mls/v1/trust-anchors",
            anchors_signer=b"signer",
            anchors_generation=generation,
            server=MlsServerProperties(has_server_group_info=False),
        )
    )


class _Rig:
    def __init__(self) -> None:
        self.generation = 1
        self.now = _NOW
        service = _service(lambda: self.generation)
        self.server = ConfigServer(SubscriberTable(ALICE), ConfigServerSettings(), Tokens("acs"), service)

    def get(self, query: str) -> HttpResponse:
        headers: HeaderFields = (("X-MSISDN", ALICE.msisdn),)
        request = HttpRequest("GET", f"/?{query}", headers)
        return response_of(self.server.handle(request, self.now, trusts_enrichment=True))

    def document(self, key: bytes | None, vers: int = 0, token: str = "") -> RcsConfiguration:
        query = f"vers={vers}" + (f"&token={token}" if token else "")
        if key is not None:
            query += f"&rcs-sim-participant-key={participant_key_value(key)}"
        return RcsConfiguration.from_document(document_of(self.get(query)))

    def parameters(self, key: bytes | None, token: str = "") -> EncryptionParameters:
        found = self.document(key, token=token).encryption
        assert found is not None
        return found


def _vouches_for(parameters: EncryptionParameters, key: bytes) -> bool:
    proof = AcsProof.decode(parameters.identity_proof)
    try:
        proof.verify(_PROOF_SPKI, "12025550101", key)
    except Exception:
        return False
    return True


def test_a_phone_that_names_its_key_gets_the_five_parameters() -> None:
    found = _Rig().parameters(_KEYS[0])
    assert found.is_complete
    assert found.kds_uri == "http://127.0.1.41:80"
    assert found.trust_anchors_generation == 1
    assert AcsProof.decode(found.identity_proof).expiry_s == int(_NOW) + 76 * 86400
    assert _vouches_for(found, _KEYS[0])
    assert found.server == MlsServerProperties(has_server_group_info=False)


def test_a_phone_that_names_none_gets_what_it_always_got() -> None:
    plain = ConfigServer(SubscriberTable(ALICE), ConfigServerSettings(), Tokens("acs"))
    request = HttpRequest("GET", "/?vers=0", (("X-MSISDN", ALICE.msisdn),))
    before = response_of(plain.handle(request, _NOW, trusts_enrichment=True))
    assert _Rig().get("vers=0") == before
    rig = _Rig()
    rig.document(_KEYS[0])
    assert rig.document(None) == ALICE.configuration


def test_the_first_key_of_a_subscriber_makes_a_new_version() -> None:
    rig = _Rig()
    first = document_of(rig.get("vers=0")).vers
    assert first is not None
    assert first.version == 1
    second = document_of(rig.get(f"vers=1&rcs-sim-participant-key={participant_key_value(_KEYS[0])}"))
    assert second.vers is not None
    assert second.vers.version == 2
    assert second.has_settings
    again = document_of(rig.get(f"vers=2&rcs-sim-participant-key={participant_key_value(_KEYS[0])}"))
    assert not again.has_settings


def test_another_key_gets_a_proof_on_a_request_without_token_only() -> None:
    rig = _Rig()
    assert _vouches_for(rig.parameters(_KEYS[0]), _KEYS[0])
    kept = rig.parameters(_KEYS[1], token="anything")
    assert _vouches_for(kept, _KEYS[0])
    assert not _vouches_for(kept, _KEYS[1])
    assert _vouches_for(rig.parameters(_KEYS[1]), _KEYS[1])
    assert _vouches_for(rig.parameters(_KEYS[0], token="anything"), _KEYS[1])


def test_a_proof_is_the_same_for_three_weeks() -> None:
    """A leaf is renewed when 31 of its 75.5 days are left, documents are fetched each week: the proof in the leaf of a
    phone that is on has not ended by then, and peers that refuse ended ones do not refuse it (§14.2)."""
    rig = _Rig()
    first = rig.parameters(_KEYS[0])
    rig.now += 21 * 86_400 - 10
    assert rig.parameters(_KEYS[0], token="t") == first
    rig.now += 20
    renewed = rig.parameters(_KEYS[0], token="t")
    assert AcsProof.decode(renewed.identity_proof).expiry_s == int(rig.now) + PROOF_LIFE_S
    assert _vouches_for(renewed, _KEYS[0])


def test_a_new_generation_of_anchors_is_a_new_version_of_the_document() -> None:
    rig = _Rig()
    rig.document(_KEYS[0])
    rig.generation = 2
    assert rig.document(_KEYS[0], vers=1).encryption is not None


def test_key_and_proof_survive_a_restart() -> None:
    rig = _Rig()
    first = rig.parameters(_KEYS[0])
    octets = RecordCodec(CONFIGURATIONS).encode(rig.server.record(ALICE.msisdn))
    again = _Rig()
    again.server.restore([RecordCodec(CONFIGURATIONS).decode(octets)])
    assert again.parameters(_KEYS[0], token="t") == first


@pytest.mark.parametrize("access", Access)
def test_a_phone_and_the_server_go_through_it_together(access: Access) -> None:
    pair = AcsPair(access=access, encryption=_service())
    pair.phone.participant_key = _KEYS[0]
    pair.run(pair.phone.boot(pair.now))
    configuration = pair.phone.configuration
    assert configuration is not None
    assert configuration.encryption is not None
    assert _vouches_for(configuration.encryption, _KEYS[0])
    pair.power_cycle()
    assert pair.phone.configuration == configuration


def test_a_phone_whose_proof_is_refused_asks_without_its_token_and_gets_one_for_its_key() -> None:
    pair = AcsPair(access=Access.WIFI, encryption=_service())
    pair.phone.participant_key = _KEYS[0]
    pair.run(pair.phone.boot(pair.now))
    other = pair.phone  # a second device of the same number comes, with a key of its own
    pair.imei = "490154203237526"
    pair.phone = pair._new_phone(None)
    pair.phone.participant_key = _KEYS[1]
    pair.run(pair.phone.boot(pair.now))
    pair.phone = other
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    configuration = pair.phone.configuration
    assert configuration is not None
    assert configuration.encryption is not None
    assert not _vouches_for(configuration.encryption, _KEYS[0])
    pair.run(pair.phone.proof_refused(pair.now))
    configuration = pair.phone.configuration
    assert configuration is not None
    assert configuration.encryption is not None
    assert _vouches_for(configuration.encryption, _KEYS[0])
    assert pair.phone.snapshot.token


def test_a_record_of_an_older_version_has_no_key() -> None:
    old = RecordCodec(CONFIGURATIONS).decode(b'{"msisdn":"+1","version":3}')
    assert old == ConfigurationRecord("+1", 3)
    assert replace(old, participant_key=b"x").participant_key == b"x"


@pytest.mark.parametrize(
    "octets", [b"\x30", _KEYS[0][:-1], _KEYS[0] + b"\x00", _KEYS[0][:-65] + b"\x05" + _KEYS[0][-64:]]
)
def test_what_is_no_key_is_refused(octets: bytes) -> None:
    assert _Rig().get(f"vers=0&rcs-sim-participant-key={participant_key_value(octets)}").status == 400


def test_an_empty_parameter_is_none() -> None:
    assert _Rig().document(b"") == ALICE.configuration

"""Steps 2, 3, 6 and 7 of the worked example (RCC.16 digest §16), with the octets of the vectors."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from ims_core.transport.tokens import Tokens
from ims_core.wire.secret import Secret
from rcs_sim.e2ee.participant_key import csr_pop_input
from rcs_sim.e2ee.public_key_info import public_key_info, spki_of_point
from rcs_sim.e2ee.trust_anchors import TrustAnchor
from rcs_sim.e2ee.vendor_pki import derive_key
from rcs_sim.mls.signature import ECDSA_P256
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.server.kds_enrolment import EnrolmentRules, check_enrolment
from rcs_sim.server.kds_settings import PeerTable
from rcs_sim.server.key_distribution_server import KeyDistributionServer
from rcs_sim.wire.key_directory import (
    ClaimRequest,
    ClaimResponse,
    EnrolmentRequest,
    KdsPath,
    UploadRequest,
)
from tests.support.kds import ALICE, BLUE, RED, KdsSide
from tests.support.vectors import vectors

_BOB = "12025550102"  # of the vectors; the network gives him a full entry for blue
_DAY = int(dt.datetime(2026, 3, 2, tzinfo=dt.UTC).timestamp())


class _Vectors:
    def __init__(self) -> None:
        listed = json.loads(vectors("rcc16/vectors.json").read_text(encoding="utf-8"))["vectors"]
        self._entries = {entry["name"]: entry for entry in listed}

    def octets(self, name: str) -> bytes:
        return bytes.fromhex(self._entries[name]["expected_hex"])

    def given(self, name: str, member: str) -> str:
        return str(self._entries[name]["inputs"][member])


@pytest.fixture(scope="module")
def known() -> _Vectors:
    return _Vectors()


@pytest.fixture
def blue(known: _Vectors) -> KdsSide:
    """Blue with the root of the vectors."""
    own = BLUE
    side = KdsSide(own, RED)
    anchors = AnchorBook(
        1, [TrustAnchor(1, 1, known.octets("cert/blue/root_der"))], [RED.pki.anchor], "lab", derive_key(b"lab", "list")
    )
    side.server = KeyDistributionServer(
        side.server.settings,
        pki=own.pki,
        proof_spki=spki_of_point(own.proof_key.public),
        anchors=anchors,
        peers=PeerTable(1, [own.prefix, _BOB], [RED.peer()]),
        is_subscriber={_BOB}.__contains__,
        tokens=Tokens("blue"),
    )
    side.now = float(_DAY)
    return side.start()


@pytest.mark.parametrize(("name", "msisdn", "vendor_id"), [("alice", "12025550101", 2), ("bob", "12025550102", 1)])
def test_step_2_the_directory_would_certify_both(known: _Vectors, name: str, msisdn: str, vendor_id: int) -> None:
    point = public_key_info(known.octets(f"cert/{name}/leaf_spki")).point
    leaf_key = ECDSA_P256.key(Secret(bytes.fromhex(known.given(f"cert/{name}/subject", "leaf_private_hex"))))
    acs = ECDSA_P256.key(Secret(bytes.fromhex(known.given(f"cert/{name}/acs_tbs", "acs_private_hex"))))
    request = EnrolmentRequest(
        msisdn=msisdn,
        client_id=known.given(f"cert/{name}/subject", "cn"),
        identity_pub=point,
        subject_der=known.octets(f"cert/{name}/subject"),
        san_der=known.octets(f"cert/{name}/san"),
        participant_information=known.octets(f"cert/{name}/ext4"),
        acs_proof=known.octets(f"cert/{name}/ext5"),
        csr_pop=leaf_key.sign(csr_pop_input(msisdn, point)),
    )
    if name == "alice":
        assert request.csr_pop == known.octets("kds/csr_pop")
    rules = EnrolmentRules(vendor_id=vendor_id, proof_spki=spki_of_point(acs.public))
    checked = check_enrolment(EnrolmentRequest.parse(request.encode()), rules, _DAY)
    assert checked.content.participant_information == known.octets(f"cert/{name}/ext4")


def test_steps_3_to_7_bobs_package_is_stored_claimed_through_red_and_served_once(
    known: _Vectors, blue: KdsSide
) -> None:
    one_time, last = known.octets("key_package/bob0"), known.octets("key_package/bob_last_resort")
    assert (len(one_time), len(last)) == (1875, 1879)
    upload = UploadRequest(msisdn=_BOB, client_id=None, key_packages=(one_time,), last_resort=last)
    assert json.loads(blue.call(KdsPath.KEY_PACKAGES, upload.encode()).body) == {"stored": 2}

    red = KdsSide(RED, BLUE)
    root = TrustAnchor(1, 1, known.octets("cert/blue/root_der"))
    anchors = AnchorBook(2, [RED.pki.anchor], [root], "lab", derive_key(b"lab", "list"))
    red.server = KeyDistributionServer(
        red.server.settings,
        pki=RED.pki,
        proof_spki=spki_of_point(RED.proof_key.public),
        anchors=anchors,
        peers=PeerTable(2, ["+1202555010"], [BLUE.peer()]),
        is_subscriber={ALICE}.__contains__,
        tokens=Tokens("red"),
    )
    red.now = blue.now
    red.start()
    claim = ClaimRequest(target_msisdn=_BOB, requester_msisdn=ALICE, kds=1)
    served = [ClaimResponse.parse(red.claim(claim, blue).body).key_packages for _ in range(2)]
    assert [(each.key_package, each.is_last_resort) for (each,) in served] == [(one_time, False), (last, True)]
    assert served[0][0].client_id == known.given("cert/bob/subject", "cn")

"""The worked example of digest RCC.16 §16 between two phones: message by message from the octets of the trace, read by
a decoder that knows nothing of ours. Its octet counts are those of the example; what differs is counted here: longer
certificates, one more intermediate of Alice's, a continuity token in the Welcome."""

from __future__ import annotations

import asyncio
import base64
import re
from functools import cache

import rcs_sim
from ims_core.trace import ListSink, RecordKind, TraceRecord
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile, SubscriberEntry
from rcs_sim.scenario.simulation import Simulation
from tests.support.outside_member import aad, opened
from tests.support.outside_reading import (
    Carried,
    LoggedKeys,
    carried,
    group_info,
    http_bodies,
    is_signed,
    key_package,
    leaves_of,
    private,
    public,
    reference,
    tree_hash,
    welcome_references,
)
from tests.support.outside_wire import fields, first, framed, identifier
from tests.support.recorded_life import Life

A, B = "+12025550101", "+12025550102"
_CLIENT, _SERVER, _SEALED, _IMDN = "message/mls-rcs-client", "message/mls-rcs-server", "message/mls", "message/imdn+xml"
_MLS, _WISHES = "http://www.gsma.com/rcs/mls", "urn:ietf:params:imdn Disposition-Notification"
_ALICES, _BOBS = 846 + 514, 847 + 519  # octets of the certificates of the example
_TOKEN = 36  # of extension 0xF010 with its type and lengths, in the Welcome of a phone that has one


def _network() -> NetworkFile:
    """B's number lies in red's range, and has an entry of its own for blue."""
    file = load_network("two-carriers")
    red, blue = file.carriers["red"], file.carriers["blue"]
    red = red.model_copy(update={"subscribers": [each for each in red.subscribers if each.msisdn != B]})
    added = {"subscribers": [SubscriberEntry(msisdn=B), *blue.subscribers], "prefixes": [B, *blue.prefixes]}
    return file.model_copy(update={"carriers": {"red": red, "blue": blue.model_copy(update=added)}})


@cache
def _played() -> Life:
    sink, lines = ListSink(), list[str]()

    async def main() -> None:
        async with Simulation(_network(), 7, sinks=[sink], key_log=lines.append) as sim:
            alice = await sim.add_phone("alice", "android", "red", msisdn=A, reads_after_s=1.0)
            await sim.add_phone("bob", "ios", "blue", msisdn=B, reads_after_s=1.0)
            await asyncio.sleep(2)
            await (await alice.chat(B).send("hello")).displayed(within_s=30)

    rcs_sim.run(main, clock="virtual")
    return Life(tuple(sink.records), tuple(lines), LoggedKeys(lines), frozenset(("hello",)))


def _records(source: str, target: str, begins: str) -> list[TraceRecord]:
    """Messages over one link whose first line matches."""
    found = (each for each in _played().records if each.kind is RecordKind.MESSAGE)
    ends = (each for each in found if (each.source, each.target) == (source, target))
    return [each for each in ends if re.match(begins.encode(), each.raw)]


def _one(source: str, target: str, kind: str, place: int = 0) -> Carried:
    return [each for each in carried(_played().records, source, target) if each.cpim.content_type == kind][place]


def _about(octets: bytes, expected: int, signatures: int) -> bool:
    """DER signatures may take two octets less, or one more."""
    return expected - 2 * signatures <= len(octets) <= expected + signatures


def _request() -> bytes:
    return _one("alice", "red.msrp_relay", _CLIENT).cpim.body


def _certificate_octets(tree: bytes, leaf: int) -> int:
    """Of its certificates; each one beyond the two of the example has a length of two octets too."""
    certificates = leaves_of(tree)[leaf].certificates
    return sum(map(len, certificates)) + 2 * (len(certificates) - 2)


def _alices_more(tree: bytes) -> int:
    """An Android-like leaf does not name proposal 0xF002 (§2.2)."""
    return _certificate_octets(tree, 0) - _ALICES - 2


def _bobs_more(tree: bytes) -> int:
    return _certificate_octets(tree, 1) - _BOBS


# --- before the first message -----------------------------------------------------------------------------------------


def test_1_the_configuration_gets_the_participant_key_and_gives_five_parameters_and_a_proof() -> None:
    for phone, acs in (("alice", "red.acs"), ("bob", "blue.acs")):
        (asked,) = _records(phone, acs, r"GET /\?")
        assert b"rcs-sim-participant-key=" in asked.raw
        document = _records(acs, phone, "HTTP/1.1 200")[-1].raw.decode()
        found = {
            name.lower(): value for name, value in re.findall(r'<parm name="(openrcs-[^"]+)" value="([^"]*)"', document)
        }
        assert {"openrcs-kds-uri", "openrcs-trust-anchors-uri", "openrcs-trust-anchors-generation"} <= set(found)
        assert {"openrcs-trust-anchors-signer", "openrcs-encryption-identity-proof"} <= set(found)
        proof = base64.b64decode(found["openrcs-encryption-identity-proof"])
        assert proof[8:9] == b"\x40"
        assert _about(proof, 81, 1)
        assert len(proof) == 10 + proof[9]


def test_2_3_trust_list_certificate_and_packages_come_before_the_registration() -> None:
    for phone, kds, pcscf in (("alice", "red.kds", "red.pcscf"), ("bob", "blue.kds", "blue.pcscf")):
        steps = [
            _records(phone, kds, "GET /mls/v1/trust-anchors/")[0],
            _records(phone, kds, "POST /mls/v1/certificate ")[0],
            _records(phone, kds, "POST /mls/v1/keypackages ")[0],
            _records(phone, pcscf, "REGISTER ")[0],
        ]
        assert [each.number for each in steps] == sorted(each.number for each in steps)
        (upload,) = http_bodies(_played().records, "POST /mls/v1/keypackages HTTP", phone)
        packages = [base64.b64decode(each) for each in upload["key_packages"]]
        last = base64.b64decode(upload["last_resort"])
        assert len(packages) == 10
        leaf, extensions = key_package(last)
        own = sum(map(len, leaf.certificates)) + 2 * (len(leaf.certificates) - 2)
        more = own - _BOBS - (2 if phone == "alice" else 0)  # the example's are Bob's
        assert all(_about(each, 1876 + more, 2) for each in packages)  # one signature of the example has 70 octets
        assert _about(last, 1880 + more, 2)
        assert extensions == {0x000A: b""}


def test_4_5_both_register_with_their_tags_and_bobs_answer_shows_them() -> None:
    for phone, pcscf, kds in (("alice", "red.pcscf", "2"), ("bob", "blue.pcscf", "1")):
        for each in _records(phone, pcscf, "REGISTER "):
            assert b'+g.gsma.rcs.mls.mls-version="v1"' in each.raw
            assert f'+g.gsma.rcs.mls.mls-kds="{kds}"'.encode() in each.raw
    (asked,) = _records("alice", "red.pcscf", rf"OPTIONS tel:\{B}")
    answered = next(each for each in _records("red.pcscf", "alice", "SIP/2.0 200 ") if b"OPTIONS\r\n" in each.raw)
    assert asked.number < answered.number
    assert b'+g.gsma.rcs.mls.mls-kds="1"' in answered.raw


def test_6_7_one_package_is_claimed_through_both_directories() -> None:
    claim = http_bodies(_played().records, "POST /mls/v1/keypackages/claim", "alice")[0]
    assert (claim["target_msisdn"], claim["kds"]) == (f"tel:{B}", 1)
    (federated,) = http_bodies(_played().records, "POST /mls/v1/federation/claim")
    assert (federated["target_msisdn"], federated["requester_msisdn"]) == (f"tel:{B}", f"tel:{A}")
    assert (federated["version"], federated["cipher_suite"]) == (1, 2)
    served = http_bodies(_played().records, "HTTP/1.1 200", "red.kds")
    (answer,) = [each for each in served if "key_packages" in each]
    ((package,), is_last) = ([base64.b64decode(one["key_package"]) for one in answer["key_packages"]], False)
    assert answer["key_packages"][0]["is_last_resort"] is is_last
    uploaded = http_bodies(_played().records, "POST /mls/v1/keypackages HTTP", "bob")[0]["key_packages"]
    assert package in [base64.b64decode(each) for each in uploaded]
    assert welcome_references(first(_request(), 8)) == [reference(package)]


# --- the group --------------------------------------------------------------------------------------------------------


def test_8_the_group_has_epoch_1_era_1_two_leaves_and_no_path() -> None:
    request = _request()
    tree, info = first(request, 9, 2), group_info(first(request, 9, 1))
    commit = public(first(request, 6))
    assert (commit.epoch, commit.kinds, commit.path) == (0, [1], None)
    assert _about(first(request, 6), 2104 + _bobs_more(tree), 4)
    assert _about(first(request, 8), 412 + _TOKEN, 2)
    assert _about(tree, 3453 + _alices_more(tree) + _bobs_more(tree), 4)
    assert _about(first(request, 9, 1), 310, 1)
    assert len(info.context) == 123
    assert (info.epoch, info.group_extensions, set(info.extensions)) == (1, {0xF001: b"\x00\x00\x00\x01"}, {4})
    assert tree_hash(tree) == info.tree_hash
    assert b"\x00" + b"\x01\x01" in tree  # a blank root between two leaves
    assert re.fullmatch(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", info.group_id)


def test_9_the_request_goes_in_the_session_of_both_with_its_new_state_in_its_headers() -> None:
    invite = _records("alice", "red.pcscf", rf"INVITE tel:\{B}")[0]
    assert b"oma.cpm.session" in invite.raw
    assert _records("blue.pcscf", "bob", "INVITE ")
    sent = _one("alice", "red.msrp_relay", _CLIENT)
    request, cpim = sent.cpim.body, sent.cpim
    assert (sent.way, cpim.headers[_WISHES]) == ("MSRP", "negative-delivery")
    assert {number for number, _ in fields(request)} == {1, 2, 3, 5, 6, 8, 9, 14}
    assert [held for number, held in fields(request) if number in (1, 14)] == [1, 1]
    era, authenticator = cpim.state
    assert first(request, 5) == identifier(1, 1, authenticator)
    assert first(request, 9, 4) == authenticator
    assert (era, len(first(request, 3))) == (1, 24)
    tree = first(request, 9, 2)
    more = _alices_more(tree) + 2 * _bobs_more(tree) + _TOKEN
    assert _about(request, 6436 + more, 9)
    assert _about(cpim.raw, 6867 + more, 9)
    assert public(first(request, 6)).aad == aad(cpim.message_id, 1)
    assert len(cpim.message_id) == 24


def test_10_12_the_focus_accepts_and_tells_of_convergence_when_blue_has_it() -> None:
    control_id, (_, authenticator) = _one("alice", "red.msrp_relay", _CLIENT).cpim.message_id, _state()
    accepted, converged = (_one("red.msrp_relay", "alice", _SERVER, place) for place in (0, 1))
    for told, sizes, flag in ((accepted, (519, 70), []), (converged, (521, 72), [1])):
        assert (len(told.cpim.raw), len(told.cpim.body)) == sizes
        assert told.cpim.in_reply_to == control_id
        assert told.cpim.message_id != control_id
        assert _WISHES not in told.cpim.headers
        assert first(told.cpim.body, 4, 1) == control_id.encode()
        assert first(told.cpim.body, 4, 2, 1) == identifier(1, 1, authenticator)
        assert [held for number, held in fields(first(told.cpim.body, 4, 2)) if number == 2] == flag
    fan_out = _one("blue.msrp_relay", "bob", _SERVER)
    assert accepted.number < fan_out.number < converged.number


def _state() -> tuple[int, bytes]:
    return _one("alice", "red.msrp_relay", _CLIENT).cpim.state


def test_11_the_welcome_reaches_bob_over_the_border_with_the_tree_under_the_id_of_the_request() -> None:
    hops = [_one("red.msrp_relay", "blue.msrp_relay", _SERVER), _one("blue.msrp_relay", "bob", _SERVER)]
    assert hops[0].cpim.raw == hops[1].cpim.raw
    cpim, request = hops[1].cpim, _request()
    tree = first(request, 9, 2)
    assert cpim.message_id == _one("alice", "red.msrp_relay", _CLIENT).cpim.message_id
    assert (cpim.state, cpim.headers[_WISHES]) == (_state(), "negative-delivery")
    assert first(cpim.body, 2, 1, 1, 1) == first(request, 8)
    assert first(cpim.body, 2, 1, 1, 2) == tree
    assert first(cpim.body, 2, 2) == first(request, 5)
    assert first(cpim.body, 2, 4) == _state()[1]
    more = _alices_more(tree) + _bobs_more(tree) + _TOKEN
    assert _about(cpim.body, 3954 + more, 6)
    assert _about(cpim.raw, 4385 + more, 6)
    seen = {each.cpim.content_type for each in carried(_played().records, "", "bob")}
    assert _CLIENT not in seen  # requests are the focus's


# --- hello ------------------------------------------------------------------------------------------------------------


def test_13_14_hello_takes_322_octets_at_every_hop_and_769_with_its_headers() -> None:
    hops = [each for each in carried(_played().records) if each.cpim.content_type == _SEALED]
    assert [(each.source, each.target) for each in hops] == [
        ("alice", "red.msrp_relay"),
        ("red.msrp_relay", "blue.msrp_relay"),
        ("blue.msrp_relay", "bob"),
    ]
    assert len({each.cpim.raw for each in hops}) == 1
    cpim = hops[0].cpim
    message = private(cpim.body)
    assert (len(cpim.raw), len(cpim.body), len(message.ciphertext) - 16) == (769, 322, 192)
    assert message.aad == aad(cpim.message_id, 1)
    assert len(message.aad) == 32
    found = _played().keys.open(message)
    assert (found.leaf, found.generation, found.stamped, len(found.payload)) == (0, 0, 0, 107)
    assert opened(found.payload) == ("text/plain;charset=UTF-8", "hello")
    assert found.payload[:10].hex() == "00010001" + "00000000" + "4061"
    assert cpim.headers[_WISHES] == "positive-delivery, negative-delivery, display"
    assert (cpim.state, message.epoch) == (_state(), 1)
    names = [line.partition(b":")[0].decode() for line in cpim.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    assert names == ["From", "To", "NS", "NS", "imdn.Message-ID", "DateTime", *_SEALED_NAMES]
    assert not any(b"hello" in each.raw for each in _played().records if each.kind is RecordKind.MESSAGE)


_SEALED_NAMES = ["imdn.Disposition-Notification", "mls.Era-ID", "mls.Epoch-Authenticator"]


def test_15_16_bob_signs_that_it_was_delivered_and_displayed() -> None:
    text = _one("alice", "red.msrp_relay", _SEALED).cpim
    for place, kind, sizes in ((0, 1, (968, 257, 76, 241)), (1, 2, (962, 255, 74, 239))):
        cpim = _one("bob", "blue.msrp_relay", _IMDN, place).cpim
        assert cpim.raw == _one("red.msrp_relay", "alice", _IMDN, place).cpim.raw
        names = [line.partition(b":")[0].decode() for line in cpim.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")]
        assert names == ["From", "To", "NS", "NS", "imdn.Message-ID", "DateTime", *_SIGNED_NAMES]
        assert f"<message-id>{text.message_id}</message-id>".encode() in cpim.body
        assert (b"<delivered/>" in cpim.body, b"<displayed/>" in cpim.body) == (kind == 1, kind == 2)
        signature = base64.b64decode(cpim.headers[f"{_MLS} MLS-Derived-Content-Signature"], validate=True)
        message = public(signature)
        assert len(message.aad) == sizes[2]
        assert _about(signature, sizes[3], 1)
        assert len(cpim.body) == sizes[1]
        assert abs(len(cpim.raw) - sizes[0]) <= 4  # base64 of one octet more can take four
        assert message.aad == _statement(cpim.message_id, kind, text.message_id)
        assert (message.leaf, message.epoch, message.kinds, message.content_type) == (1, 1, [0xF002], 2)
        tree, info = first(_request(), 9, 2), group_info(first(_request(), 9, 1))
        assert is_signed(message, leaves_of(tree)[1].signature_key, info.context)


_SIGNED_NAMES = ["mls.MLS-Derived-Content-Signature", "mls.Era-ID"]


def _statement(own: str, kind: int, about: str) -> bytes:
    inner = b"\x00\x01\x00\x01" + framed(about.encode()) + (b"\x00\x00" if kind == 1 else b"")
    return b"\x00\x01" + framed(own.encode()) + b"\x00\x00\x00\x01" + bytes((kind,)) + inner + b"\x00"

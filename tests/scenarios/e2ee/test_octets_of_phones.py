"""That our phones do not make the mistakes of digest RCC.16 §17: read from the octets that they send, by a decoder that
knows nothing of ours. The numbers in the names are those of the list."""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from xml.etree import ElementTree

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from tests.support.outside_member import aad, opened
from tests.support.outside_reading import (
    Carried,
    GroupInfoSeen,
    carried,
    group_info,
    http_bodies,
    is_padme,
    is_signed,
    key_package,
    leaves_of,
    private,
    public,
    reference,
    tree_hash,
    welcome_references,
)
from tests.support.outside_wire import der, fields, first, framed, sequence
from tests.support.recorded_life import PAIRS, Life, the_life

_PHONES = ("alice", "bob", "tablet")
_MLS = "http://www.gsma.com/rcs/mls"
_IMDN_XML = "{urn:ietf:params:xml:ns:imdn}"
_ERA, _END = 0xF001, 0xF002


@pytest.fixture(params=PAIRS, ids="-".join)
def life(request: pytest.FixtureRequest) -> Life:
    return the_life(*request.param)


def _sent(life: Life, *kinds: str) -> list[Carried]:
    return [each for phone in _PHONES for each in carried(life.records, phone) if each.cpim.content_type in kinds]


def _got(life: Life, kind: str) -> list[Carried]:
    return [each for phone in _PHONES for each in carried(life.records, "", phone) if each.cpim.content_type == kind]


def _number(octets: bytes, field: int) -> int:
    return next((held for known, held in fields(octets) if known == field and isinstance(held, int)), 0)


def _split(identifier: bytes) -> tuple[int, int, bytes]:
    return _number(identifier, 1), _number(identifier, 2), first(identifier, 3)


def _requests(life: Life) -> list[Carried]:
    return _sent(life, "message/mls-rcs-client")


def _states(life: Life) -> dict[tuple[int, int], bytes]:
    """Epoch authenticators by era and epoch, as the focus told them."""
    told = [first(each.cpim.body, 2, 2) for each in _got(life, "message/mls-rcs-server")]
    found = [_split(each) for each in told if each]
    return {(era, epoch): authenticator for era, epoch, authenticator in found}


def _infos(life: Life) -> dict[tuple[int, int], tuple[GroupInfoSeen, bytes]]:
    """GroupInfo and tree by era and epoch: of what was accepted, which is what was told."""
    found: dict[tuple[int, int], tuple[GroupInfoSeen, bytes]] = {}
    known = set(_states(life).values())
    for each in _requests(life):
        era, epoch, authenticator = _split(first(each.cpim.body, 5))
        if authenticator in known:
            found[era, epoch] = group_info(first(each.cpim.body, 9, 1)), first(each.cpim.body, 9, 2)
    return found


# --- 1, 2, 3: messages ------------------------------------------------------------------------------------------------


def test_1_the_generation_is_stamped_as_it_was_sealed_and_counts_from_zero_in_each_epoch(life: Life) -> None:
    counted = defaultdict[tuple[object, ...], set[int]](set)
    for each in _sent(life, "message/mls"):
        message = private(each.cpim.body)
        found = life.keys.open(message)
        assert found.stamped == found.generation
        assert opened(found.payload)[0] == "text/plain;charset=UTF-8"
        assert opened(found.payload)[1] in life.texts
        assert is_padme(len(message.ciphertext) - 16)
        counted[each.cpim.state[0], message.epoch, found.leaf].add(found.generation)
    assert len(counted) >= 10
    assert all(numbers == set(range(len(numbers))) for numbers in counted.values()), counted


def test_2_authenticated_data_has_the_id_of_the_envelope_and_the_era_on_messages_and_commits(life: Life) -> None:
    for each in _sent(life, "message/mls"):
        assert private(each.cpim.body).aad == aad(each.cpim.message_id, each.cpim.state[0])
    commits = 0
    for each in _requests(life):
        commit = public(first(each.cpim.body, 6))
        assert commit.aad == aad(each.cpim.message_id, _split(first(each.cpim.body, 5))[0])
        commits += commit.epoch > 0
    assert commits >= 2


def test_3_namespaces_are_declared_before_the_first_header_with_a_prefix_and_are_the_right_ones(life: Life) -> None:
    for each in _sent(life, *{each.cpim.content_type for each in carried(life.records)}):
        names = [line.partition(":")[0] for line in each.cpim.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")]
        prefixed = [place for place, name in enumerate(names) if "." in name]
        assert max(place for place, name in enumerate(names) if name == "NS") < min(prefixed), names
        assert len([name for name in names if name == "NS"]) == len(
            {name.partition(".")[0] for name in names} - {"NS"}
        ) - len({"From", "To", "DateTime"})
    for each in carried(life.records, "red.msrp_relay", "alice") + carried(life.records, "red.pcscf", "alice"):
        head = each.cpim.raw.partition(b"\r\n\r\n")[0]
        assert head.rindex(b"NS: ") < re.search(rb"(?m)^[a-z0-9]+\.", head).start()  # type: ignore[union-attr]  # there is one


def test_3_era_and_authenticator_are_those_of_the_state_that_sealed(life: Life) -> None:
    states = _states(life)
    assert len(states) >= 4
    for each in _sent(life, "message/mls"):
        era, authenticator = each.cpim.state
        assert each.cpim.headers[f"{_MLS} Era-ID"] == str(era)
        assert authenticator == states[era, private(each.cpim.body).epoch]
        assert len(authenticator) == 32
    for each in _requests(life):
        told = _split(first(each.cpim.body, 4)) if _number(each.cpim.body, 1) != 1 else _split(first(each.cpim.body, 5))
        assert each.cpim.state == (told[0], told[2])  # of the base, and of a CREATE the new one (§14.1)


_NAMESPACES = {
    (b"imdn", b"urn:ietf:params:imdn"),
    (b"mls", b"http://www.gsma.com/rcs/mls"),
    (b"sim", b"urn:rcs-sim:mls"),
}


# --- 4, 9: certificates -----------------------------------------------------------------------------------------------


def _certificates(life: Life) -> dict[bytes, x509.Certificate]:
    """Leaf certificates in the trees that went over the wire, by signature key."""
    leaves = [leaf for _, tree in _infos(life).values() for leaf in leaves_of(tree).values()]
    return {leaf.signature_key: x509.load_der_x509_certificate(leaf.certificates[0]) for leaf in leaves}


def _extension(certificate: x509.Certificate, oid: str) -> bytes:
    found = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    return found.public_bytes()


def _parts(octets: bytes) -> list[bytes]:
    """Elements of a DER SEQUENCE, each with tag and length."""
    found, at, end = [], *_content(octets, 0)
    while at < end:
        begin, after = _content(octets, at)
        found.append(octets[at:after])
        at = after
        assert begin <= after
    return found


def _content(octets: bytes, at: int) -> tuple[int, int]:
    length, begin = octets[at + 1], at + 2
    if length >= 0x80:
        begin += length & 0x7F
        length = int.from_bytes(octets[at + 2 : begin], "big")
    return begin, begin + length


def _verifies(key: bytes, signature: bytes, octets: bytes) -> bool:
    point = load_der_public_key(key)
    assert isinstance(point, ec.EllipticCurvePublicKey)
    try:
        point.verify(signature, octets, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def test_4_the_participant_vouches_for_the_leaf_key_and_the_issuer_has_changed_no_octet(life: Life) -> None:
    asked = {base64.b64decode(each["identity_pub"]): each for each in http_bodies(life.records, "POST /mls/v1/cert")}
    known = _certificates(life)
    assert len(known) >= 4  # bob has been reinstalled
    for key, certificate in known.items():
        request = {
            name: base64.b64decode(value) for name, value in asked[key].items() if name.endswith(("der", "info"))
        }
        subject, san = certificate.subject.public_bytes(), _extension(certificate, "2.5.29.17")
        ext4 = _extension(certificate, "2.23.146.2.1.4")
        assert (subject, san, ext4) == (request["subject_der"], request["san_der"], request["ext4_participant_info"])
        assert subject == sequence(der(0x31, sequence(bytes.fromhex("0603550403"), der(0x0C, _name_of(certificate)))))
        vendor, validity, algorithm, signature, participant = _parts(ext4)
        assert algorithm.hex() == "300a06082a8648ce3d040302"
        leaf = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert leaf != participant
        assert leaf.endswith(key)
        signed = signature[_content(signature, 0)[0] + 1 :]
        assert _verifies(participant, signed, sequence(subject, vendor, validity, leaf, san))
        assert not _verifies(participant, signed, sequence(subject, vendor, validity, participant, san))


def _name_of(certificate: x509.Certificate) -> bytes:
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value).encode()


def test_9_lifetimes_of_key_packages_are_those_of_their_certificate(life: Life) -> None:
    uploads = http_bodies(life.records, "POST /mls/v1/keypackages HTTP")
    packages = [each for upload in uploads for each in (*upload["key_packages"], upload["last_resort"])]
    assert len(packages) > 30
    for each in packages:
        leaf, extensions = key_package(base64.b64decode(each))
        certificate = x509.load_der_x509_certificate(leaf.certificates[0])
        begins, ends = (
            int(at.timestamp()) for at in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        )
        assert leaf.lifetime in ((begins, ends - 1800), (begins, begins + 365 * 86_400))
        assert (0x000A in extensions) == (each in {upload["last_resort"] for upload in uploads})
        assert 2 in leaf.capabilities[1]
        assert not {0xF010, 0xF019} <= set(leaf.capabilities[3])  # the bands of both revisions (digest §2.2)


def test_9_a_leaf_that_is_replaced_in_its_place_keeps_its_name(life: Life) -> None:
    infos = _infos(life)
    for (era, epoch), (_, tree) in infos.items():
        for place, leaf in leaves_of(infos.get((era, epoch - 1), (None, b"\x00"))[1]).items():
            after = leaves_of(tree).get(place)
            if after is not None and after.source == 3:  # a commit of its owner
                names = {x509.load_der_x509_certificate(each.certificates[0]).subject for each in (leaf, after)}
                assert len(names) == 1


# --- 5, 6: the group --------------------------------------------------------------------------------------------------


def test_5_the_tree_goes_beside_and_is_the_one_that_was_hashed(life: Life) -> None:
    for era_epoch, (info, tree) in _infos(life).items():
        assert 0x0002 not in info.extensions
        assert info.extensions[0x0004][:3].hex() == "404104"
        assert {0xF003, 0xF005, 0xF010}.isdisjoint(info.extensions)
        assert tree_hash(tree) == info.tree_hash, era_epoch
    pulled = [first(each.cpim.body, 3) for each in _got(life, "message/mls-rcs") + _got(life, "message/mls-rcs-server")]
    for held in (each for each in pulled if each):
        assert tree_hash(first(held, 2)) == group_info(first(held, 1)).tree_hash


def test_5_who_is_welcomed_gets_the_tree_of_the_group_with_blanks_and_parents(life: Life) -> None:
    welcomes = [each.cpim.body for each in _got(life, "message/mls-rcs-server") if first(each.cpim.body, 2, 1, 1, 1)]
    assert welcomes
    for body in welcomes:
        era, epoch, _ = _split(first(body, 2, 2))
        info, tree = _infos(life)[era, epoch]
        given = first(body, 2, 1, 1, 2) or framed(_behind(first(body, 2, 1, 1, 1)))
        assert tree_hash(given) == info.tree_hash
        assert leaves_of(given) == leaves_of(tree)
    trees = [tree for _, tree in _infos(life).values()]
    assert any(b"\x01\x02\x40\x41\x04" in tree for tree in trees)  # a parent with a key


def _behind(welcome: bytes) -> bytes:
    """Nodes that some devices write behind a Welcome (digest §5.6)."""
    rest = welcome[6:]
    for _ in range(2):
        width = 1 << (rest[0] >> 6)
        rest = rest[width + (int.from_bytes(rest[:width], "big") & (1 << 8 * width - 2) - 1) :]
    return rest


def test_6_the_era_is_four_octets_and_stays_what_it_was_in_its_group(life: Life) -> None:
    for (era, epoch), (info, _) in _infos(life).items():
        assert info.group_extensions[_ERA] == era.to_bytes(4, "big")
        assert (info.epoch, _END in info.group_extensions) == (epoch, False)


# --- 7, 10: receipts --------------------------------------------------------------------------------------------------


def _statement(each: Carried) -> bytes:
    """What a receipt has to be signed over, from its envelope and its XML (digest §6.3)."""
    document = ElementTree.fromstring(each.cpim.body)
    about = (document.findtext(f"{_IMDN_XML}message-id") or "").encode()
    is_display = document.find(f"{_IMDN_XML}display-notification") is not None
    failed = document.find(f".//{_IMDN_XML}failed")
    inner = (1).to_bytes(2, "big") + (1 if failed is None else 2).to_bytes(2, "big") + framed(about)
    if failed is not None:
        inner += _REASONS[failed[0][0].tag.removeprefix(_IMDN_XML)].to_bytes(2, "big") + bytes(2)
    elif not is_display:
        inner += bytes(2)
    era = int(each.cpim.headers[f"{_MLS} Era-ID"]).to_bytes(4, "big")
    kind = b"\x02" if is_display else b"\x01"
    return b"\x00\x01" + framed(each.cpim.message_id.encode()) + era + kind + inner + b"\x00"


_REASONS = {"failed-to-decrypt": 4, "control-message-failed": 13, "control-message-failed-due-to-downgrade": 10}


def _is_wish(each: Carried) -> bool:
    """Who has no group cannot sign that he would like a Welcome (digest §10.1)."""
    return b"<control-message-failed/>" in each.cpim.body


def test_7_each_receipt_is_signed_over_the_whole_of_what_it_says(life: Life) -> None:
    infos, told = _infos(life), defaultdict[str, int](int)
    for each in _sent(life, "message/imdn+xml"):
        if _is_wish(each) and each.source == "bob":
            assert f"{_MLS} Era-ID" in each.cpim.headers
            continue
        names = [name.removeprefix(f"{_MLS} ") for name in each.cpim.headers if name.startswith(_MLS)]
        assert names == ["MLS-Derived-Content-Signature", "Era-ID"]
        message = public(base64.b64decode(each.cpim.headers[f"{_MLS} MLS-Derived-Content-Signature"], validate=True))
        assert (message.sender_type, message.content_type, message.kinds) == (1, 2, [0xF002])
        assert message.aad == _statement(each)
        assert len(message.membership_tag) == 32
        info, tree = infos[int(each.cpim.headers[f"{_MLS} Era-ID"]), message.epoch]
        leaf = leaves_of(tree)[message.leaf]
        assert is_signed(message, leaf.signature_key, info.context)
        number = _extension(x509.load_der_x509_certificate(leaf.certificates[0]), "2.5.29.17").decode("latin-1")[-12:]
        assert number == ("+12025550101" if each.source == "alice" else "+12025550152")
        told[message.aad[-5:].hex()] += 1
    assert sum(told.values()) > 40


def test_10_every_sealed_message_asks_for_negative_notifications(life: Life) -> None:
    for each in _sent(life, "message/mls"):
        is_again = f"{_MLS} Original-Message-ID" in each.cpim.headers  # others may have read the first copy
        wishes = each.cpim.headers["urn:ietf:params:imdn Disposition-Notification"]
        assert wishes == "positive-delivery, negative-delivery, display" or (is_again and wishes == "negative-delivery")
    asked = {each.cpim.headers["urn:ietf:params:imdn Disposition-Notification"] for each in _requests(life)}
    assert asked == {"negative-delivery"}


def test_10_a_failure_is_told_signed_with_its_reason_and_what_is_sealed_anew_names_the_first_id(life: Life) -> None:
    told = [each for each in _sent(life, "message/imdn+xml") if b"<failed>" in each.cpim.body]
    reports = [each for each in told if not _is_wish(each)]
    assert reports
    for each in reports:
        assert b"<mls-client-failure-reason><failed-to-decrypt/></mls-client-failure-reason>" in each.cpim.body
        message = public(base64.b64decode(each.cpim.headers[f"{_MLS} MLS-Derived-Content-Signature"]))
        assert message.aad.endswith(
            b"\x00\x04\x00\x00\x00"
        )  # the reason, two octets of the option, no resent component
    unread = {ElementTree.fromstring(each.cpim.body).findtext(f"{_IMDN_XML}message-id") for each in reports}
    again = [each for each in _sent(life, "message/mls") if f"{_MLS} Original-Message-ID" in each.cpim.headers]
    assert {each.cpim.headers[f"{_MLS} Original-Message-ID"] for each in again} >= unread
    assert unread.isdisjoint(each.cpim.message_id for each in again)


def test_10_a_failure_is_told_after_the_state_of_the_focus_was_asked_for(life: Life) -> None:
    reports = [each for each in _sent(life, "message/imdn+xml") if b"<failed-to-decrypt/>" in each.cpim.body]
    assert reports
    for each in reports:
        about = ElementTree.fromstring(each.cpim.body).findtext(f"{_IMDN_XML}message-id")
        came = carried(life.records, "", each.source)
        arrived = min(one.number for one in came if one.cpim.message_id == about)
        asked = [one.number for one in carried(life.records, each.source) if one.cpim.content_type == "message/mls-rcs"]
        answered = [one.number for one in came if one.cpim.in_reply_to]
        assert any(arrived < pull < answer < each.number for pull in asked for answer in answered), each.number


# --- the runners-up ---------------------------------------------------------------------------------------------------


def test_a_claimed_package_is_named_by_its_hash_and_used_once(life: Life) -> None:
    served = [
        base64.b64decode(one["key_package"])
        for answer in http_bodies(life.records, "HTTP/1.1 200")
        for one in answer.get("key_packages", ())
        if not one["is_last_resort"]
    ]
    known = {reference(each) for each in served}
    named = [
        each for request in _requests(life) for each in welcome_references(first(request.cpim.body, 8) or _NO_WELCOME)
    ]
    assert named
    assert set(named) <= known
    assert len(named) == len(set(named))


_NO_WELCOME = bytes.fromhex("000100030002") + b"\x00\x00"


def test_a_receipt_signature_is_a_carrier_and_is_never_committed(life: Life) -> None:
    kinds = {kind for each in _requests(life) for kind in public(first(each.cpim.body, 6)).kinds}
    assert kinds <= {1, 3, 6, 7, 0xF003, 0xF004}

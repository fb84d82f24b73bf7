"""A stranger in encrypted conversations: certificates and key packages over the documented JSON, groups of ts-mls, and
requests to the focus put together from the digest's tables."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from xml.etree import ElementTree

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import ExtensionType
from tests.support.mls_exchange import Sent
from tests.support.mls_ts import TsKey, TsMember, TsStack
from tests.support.outside_wire import (
    bits,
    der,
    first,
    framed,
    identifier,
    integer,
    read_framed,
    sequence,
    uint,
    value,
)

__all__ = ["Account", "OutsideMember", "aad", "enrolled", "opened", "sealed_text"]

EXTENSIONS = (*range(0xF001, 0xF008), 0xE000, *range(0xF010, 0xF031))
PROPOSALS = (*range(0xF001, 0xF005), *range(0xF010, 0xF019))
_WITHIN_S = 20.0
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_LAST_RESORT = Extension(ExtensionType(0x000A), b"")


# --- what the carrier gives -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """A subscriber of `rcs-sim up --json`, as a client sees itself after its configuration."""

    msisdn: str
    kds_uri: str
    proof: bytes
    participant: ec.EllipticCurvePrivateKey

    @classmethod
    def configured(cls, carrier: dict[str, Any], msisdn: str) -> Account:
        """Two requests over mobile data, the participant key among their parameters (§14.2)."""
        participant = ec.generate_private_key(ec.SECP256R1())
        spki = base64.urlsafe_b64encode(_spki(participant)).rstrip(b"=").decode()
        imsi = next(one["imsi"] for one in carrier["subscribers"] if one["msisdn"] == msisdn)
        address = urlsplit(carrier["acs"])
        connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=_WITHIN_S)
        connection.request("GET", "/", headers={"X-MSISDN": msisdn})
        asked = connection.getresponse()
        asked.read()
        cookie = (asked.getheader("Set-Cookie") or "").partition(";")[0]
        query = (
            f"/?vers=0&IMSI={imsi}&rcs_version=11.0&rcs_profile=UP_2.4&client_vendor=Outs&rcs_state=0"
            f"&rcs-sim-participant-key={spki}"
        )
        connection.request("GET", query, headers={"X-MSISDN": msisdn, "Cookie": cookie})
        document = ElementTree.fromstring(connection.getresponse().read())
        connection.close()
        found = {str(each.get("name")).lower(): str(each.get("value")) for each in document.iter("parm")}
        proof = base64.b64decode(found["openrcs-encryption-identity-proof"])
        return cls(msisdn, found["openrcs-kds-uri"], proof, participant)

    def call(self, path: str, **members: Any) -> dict[str, Any]:
        """POST to the directory."""
        address = urlsplit(self.kds_uri)
        connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=_WITHIN_S)
        body = json.dumps(members).encode()
        connection.request("POST", f"{address.path}{path}", body, {"Content-Type": "application/json"})
        answered = connection.getresponse()
        found: dict[str, Any] = json.loads(answered.read())
        connection.close()
        assert answered.status == 200, found
        return found


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def enrolled(account: Account, stack: TsStack, vendor_id: int, packages: int = 3) -> OutsideMember:
    """A new client of the account: certificate (§2.5.1, §3.4), then key packages and the last resort."""
    key, client_id, san_uri = ec.generate_private_key(ec.SECP256R1()), f"{uuid4()}", f"tel:{account.msisdn}"
    name = der(0x31, sequence(bytes.fromhex("0603550403"), der(0x0C, client_id.encode())))
    subject, san = sequence(name), sequence(der(0x86, san_uri.encode()))
    answered = account.call(
        "/mls/v1/certificate",
        msisdn=san_uri,
        client_id=client_id,
        identity_pub=_b64(_point(key)),
        subject_der=_b64(subject),
        san_der=_b64(san),
        ext4_participant_info=_b64(_participant_information(account.participant, vendor_id, subject, _spki(key), san)),
        acs_proof=_b64(account.proof),
        csr_pop=_b64(key.sign(san_uri.encode() + _point(key), ec.ECDSA(SHA256()))),
    )
    chain = [base64.b64decode(each) for each in (answered["leaf"], *answered["chain"][:-1])]  # without the root
    member = _member(stack, account, key, client_id, chain)
    account.call(
        "/mls/v1/keypackages",
        msisdn=san_uri,
        client_id=client_id,
        last_resort=_b64(member.mls.key_package((_LAST_RESORT,))),
        key_packages=[_b64(member.mls.key_package()) for _ in range(packages)],
    )
    return member


def _participant_information(
    participant: ec.EllipticCurvePrivateKey, vendor_id: int, subject: bytes, leaf_spki: bytes, san: bytes
) -> bytes:
    begins, ends = (datetime.fromtimestamp(time.time() + days * 86_400, UTC) for days in (-1, 400))
    validity = sequence(*(der(0x17, each.strftime("%y%m%d%H%M%SZ").encode()) for each in (begins, ends)))
    signed = sequence(subject, integer(vendor_id), validity, leaf_spki, san)
    signature = participant.sign(signed, ec.ECDSA(SHA256()))
    return sequence(integer(vendor_id), validity, _ECDSA_SHA256, bits(signature), _spki(participant))


def _member(
    stack: TsStack, account: Account, key: ec.EllipticCurvePrivateKey, client_id: str, chain: Sequence[bytes]
) -> OutsideMember:
    certificate = load_der_x509_certificate(chain[0])
    begins, ends = (int(at.timestamp()) for at in (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
    mls = TsMember(
        stack,
        client_id,
        2,
        public=True,
        sends_tree=False,
        key=TsKey(key),
        certificates=chain,
        extensions=EXTENSIONS,
        proposals=PROPOSALS,
        lifetime=(begins, begins + min(ends - begins - 1800, 365 * 86_400)),
    )
    return OutsideMember(account, client_id, mls)


# --- a member ---------------------------------------------------------------------------------------------------------


def aad(message_id: str, era: int) -> bytes:
    """AuthenticatedData as deployed (§4.5)."""
    return b"\x00\x01" + framed(message_id.encode()) + era.to_bytes(4, "big") + b"\x00"


def sealed_text(text: str, generation: int) -> bytes:
    """SecretPayload with a plain text (§4.6)."""
    body = text.encode()
    content = (
        b"\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Disposition: inline\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return b"\x00\x01\x00\x01" + generation.to_bytes(4, "big") + framed(content)


def opened(payload: bytes) -> tuple[str, str]:
    """Inner type and text of a SecretPayload."""
    assert payload[:4] == b"\x00\x01\x00\x01", payload[:8]
    content, rest = read_framed(payload[8:])
    assert rest == b""
    assert content.startswith(b"\r\n"), content[:40]
    mime, _, body = content[2:].partition(b"\r\n\r\n")
    found = dict(line.split(": ", 1) for line in mime.decode().split("\r\n"))
    assert int(found["Content-Length"]) == len(body)
    return found["Content-Type"], body.decode()


def _split(welcome: bytes) -> tuple[bytes, bytes]:
    """A Welcome, and the nodes that some devices write behind it (§5.6)."""
    _secrets, rest = read_framed(welcome[6:])
    _group_info, rest = read_framed(rest)
    return welcome[: len(welcome) - len(rest)], rest


@dataclass
class OutsideMember:
    """One client. Whatever it builds it has already applied, as its stack does."""

    account: Account
    client_id: str
    mls: TsMember
    era: int = 0
    group_id: bytes = b""
    generation: int = 0
    last: Sent = field(default_factory=lambda: Sent(b"", (), None))

    @property
    def state(self) -> tuple[int, int, bytes]:
        marks = self.mls.marks()
        epoch, authenticator = marks["epoch"], marks["authenticator"]
        assert isinstance(epoch, int)
        assert isinstance(authenticator, bytes)
        return self.era, epoch, authenticator

    def claim(self, target: str, kds: int) -> list[bytes]:
        """One key package of each device of *target*, as MLSMessages."""
        found = self.account.call(
            "/mls/v1/keypackages/claim",
            target_msisdn=f"tel:{target}",
            requester_msisdn=f"tel:{self.account.msisdn}",
            kds=kds,
            cipher_suite=2,
        )
        raw = [base64.b64decode(each["key_package"]) for each in found["key_packages"]]
        return [each if each[:4] == b"\x00\x01\x00\x05" else b"\x00\x01\x00\x05" + each for each in raw]

    # --- requests (§14.3) --------------------------------------------------------------------------------------------

    def create(
        self, packages: Iterable[bytes], control_id: str, *, era: int = 1, base: tuple[int, int, bytes] | None = None
    ) -> bytes:
        """A first group, or with *base* a new era of the group that is there."""
        self.era = era
        self.group_id = self.group_id or f"{uuid4()}".encode()
        self.mls.create(self.group_id, (Extension(ExtensionType(0xF001), era.to_bytes(4, "big")),))
        self.mls.authenticated_data = aad(control_id, era)
        self.last = self.mls.add(list(packages))
        self.generation = 0
        return b"".join(
            (
                uint(1, 1),
                value(2, self.group_id),
                value(3, base64.urlsafe_b64encode(uuid4().bytes + b"ab")),
                b"" if base is None else value(4, identifier(*base)),
                value(5, identifier(*self.state)),
                value(8, self.last.welcomes[0]),
                value(9, self._info()),
                uint(14, 1 if base is None else 2),
            )
        )

    def _info(self) -> bytes:
        _, _, authenticator = self.state
        return value(1, self.mls.group_info(with_tree=False)) + value(2, self.mls.tree()) + value(4, authenticator)

    def commit(self, control_id: str, *proposals: dict[str, Any]) -> bytes:
        """A COMMIT; with additions it carries their Welcome."""
        base = self.state
        self.mls.authenticated_data = aad(control_id, self.era)
        self.last = self.mls.commit(*proposals)
        self.generation = 0
        welcome = value(8, self.last.welcomes[0]) if self.last.welcomes else b""
        return self._changing(3, base, welcome)

    def _changing(self, operation: int, base: tuple[int, int, bytes], welcome: bytes = b"") -> bytes:
        return b"".join(
            (
                uint(1, operation),
                value(2, self.group_id),
                value(4, identifier(*base)),
                value(5, identifier(*self.state)),
                value(6, self.last.commit),
                welcome,
                value(9, self._info()),
            )
        )

    def end_mls(self, control_id: str, gone: int) -> bytes:
        """The word of v3.0 in 0xF002. The leaf *gone* is removed with it: ts-mls makes a path for removals, and none
        for extensions."""
        extensions = [(0xF001, self.era.to_bytes(4, "big").hex()), (0xF002, b"end_mls".hex())]
        removal = {"type": "remove", "leaf": gone}
        return self.commit(control_id, {"type": "extensions", "extensions": extensions}, removal)

    def add(self, package: bytes, control_id: str) -> bytes:
        """A COMMIT that adds one more client of its own number."""
        request = self.commit(control_id, {"type": "add", "key_package": package.hex()})
        return request + value(11, f"tel:{self.account.msisdn}".encode())

    def join_by_commit(self, pulled: bytes, control_id: str, era: int, *, resync: bool = False) -> bytes:
        """An external commit on MlsGroupInfo *pulled* (§5.8)."""
        info, tree, authenticator = (first(pulled, number) for number in (1, 2, 4))
        self.era = era
        self.mls.authenticated_data = aad(control_id, era)
        commit = self.mls.join_externally(info, tree=tree, resync=resync)
        self.generation = 0
        _, epoch, _ = self.state
        self.last = Sent(commit, (), self.mls.tree())
        return self._changing(2, (era, epoch - 1, authenticator))

    # --- what it gets ------------------------------------------------------------------------------------------------

    def receive(self, bundle: bytes, sender: OutsideMember | None = None) -> None:
        """ServerMlsRcsMessage with a Welcome for it, or a commit."""
        welcome, commit = first(bundle, 2, 1, 1, 1), first(bundle, 2, 1, 2, 1)
        if commit and self.group_id:
            self.mls.receive(commit, None)  # type: ignore[arg-type]  # who has sent it is for other stacks to know
        else:
            welcome, behind = _split(welcome)
            self.mls.join(welcome, first(bundle, 2, 1, 1, 2) or framed(behind))
            extensions = dict(self.mls.context_extensions())
            self.era = int.from_bytes(extensions[0xF001], "big")
        self.generation = 0

    def seal(self, text: str, message_id: str) -> bytes:
        self.mls.authenticated_data = aad(message_id, self.era)
        sealed = self.mls.seal(sealed_text(text, self.generation))
        self.generation += 1
        return sealed

    def open(self, octets: bytes, message_id: str) -> str:
        """The text of a message, whose authenticated data names it."""
        payload = self.mls.receive(octets, None)  # type: ignore[arg-type]  # as above
        assert payload is not None
        assert self.mls.heard == aad(message_id, self.era), self.mls.heard
        return opened(payload)[1]

"""Trust anchors, one root per vendor, and the signed list that brings them to clients (RCC.16 §4.1, Annex A.1).

RCC.16 leaves the format of the list open; ours is JSON signed as served (choice).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.certificate_leaf_rules import vendor_of
from rcs_sim.e2ee.certificate_path_rules import check_algorithm, link_problem
from rcs_sim.e2ee.certificate_x509_rules import check_ca_basic_constraints
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.public_key_info import ECDSA_SHA256, is_ecdsa_signed, public_key_info
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.mls.signature import SignatureKey

__all__ = [
    "SignedTrustList",
    "TrustAnchor",
    "TrustAnchorList",
    "TrustAnchors",
    "TrustListRefused",
    "read_trust_list",
    "sign_trust_list",
    "verify_trust_anchor",
    "verify_trust_list",
]

_LABEL = b"rcs-sim trust-anchors v1"
_MAX_LIST_OCTETS = 256 * 1024
_MAX_ANCHORS = 64
_KEPT_LISTS = 8  # that were signed: the phones of a carrier have one together
_MAX_NUMBER = 2**53  # what JSON carries everywhere


class TrustListRefused(RemoteProtocolError):
    """A list of trust anchors is not to be used. The one held before stays."""

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message, spec="RCC.16 §4.1", raw=raw)


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A vendor's root certificate, and the number of the key service that it stands for (``mls-kds``)."""

    vendor_id: int
    kds: int
    der: bytes

    @property
    def certificate(self) -> Certificate:
        """Raises DerError if it is none."""
        return read_certificate(self.der)


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """The roots that a party trusts."""

    anchors: tuple[TrustAnchor, ...] = ()

    def find(self, issuer: bytes) -> tuple[TrustAnchor, ...]:
        """Those with this name, in DER."""
        return tuple(each for each in self.anchors if each.certificate.subject == issuer)

    def holding(self, der: bytes) -> TrustAnchor | None:
        """The anchor that is this very certificate."""
        return next((each for each in self.anchors if each.der == der), None)

    def of_vendor(self, vendor_id: int) -> TrustAnchors:
        """Those of one vendor."""
        return TrustAnchors(tuple(each for each in self.anchors if each.vendor_id == vendor_id))

    def of_kds(self, kds: int) -> TrustAnchors:
        """Those of one key service."""
        return TrustAnchors(tuple(each for each in self.anchors if each.kds == kds))


@dataclass(frozen=True, slots=True)
class TrustAnchorList:
    """What a carrier tells its clients to trust. *issued_s* counts from 1970."""

    generation: int
    issued_s: int
    network: str
    anchors: tuple[TrustAnchor, ...]

    def payload(self) -> bytes:
        """The JSON that is signed."""
        anchors = [
            {"der": base64.b64encode(each.der).decode("ascii"), "kds": each.kds, "vendor_id": each.vendor_id}
            for each in self.anchors
        ]
        body = {
            "anchors": anchors,
            "generation": self.generation,
            "issued": self.issued_s,
            "network": self.network,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> TrustAnchorList:
        """Reads the JSON, whatever the anchors in it are. Raises TrustListRefused."""
        body = _json_object(payload)
        listed = body.get("anchors")
        if not isinstance(listed, list) or len(listed) > _MAX_ANCHORS:
            raise TrustListRefused("no list of anchors", raw=payload)
        network = body.get("network")
        if not isinstance(network, str):
            raise TrustListRefused("no network", raw=payload)
        numbers = (_number(body, "generation"), _number(body, "issued"))
        return cls(*numbers, network, tuple(map(_anchor, listed)))

    def verify(self, generation: int, held: int | None) -> None:
        """The checks of a client whose configuration names *generation* and who holds the list *held*, None for none
        or after a fresh provisioning. Raises TrustListRefused."""
        if self.generation != generation:
            raise TrustListRefused(f"a list of generation {self.generation} where {generation} was announced")
        if held is not None and self.generation < held:
            raise TrustListRefused(f"a list of generation {self.generation} after one of {held}")
        if not self.anchors:
            raise TrustListRefused("an empty list")
        for anchor in self.anchors:
            verify_trust_anchor(anchor)

    def trust(self) -> TrustAnchors:
        """The anchors, to validate with."""
        return TrustAnchors(self.anchors)


@dataclass(frozen=True, slots=True)
class SignedTrustList:
    """The list as served: octets of the payload and of their signature, ECDSA P-256 with SHA-256 in DER."""

    payload: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The JSON that is served."""
        parts = {"payload": self.payload, "signature": self.signature}
        return json.dumps({name: base64.b64encode(each).decode("ascii") for name, each in parts.items()}).encode()

    @classmethod
    def decode(cls, octets: bytes) -> SignedTrustList:
        """Raises TrustListRefused."""
        body = _json_object(octets)
        return cls(_octets(body, "payload"), _octets(body, "signature"))


def sign_trust_list(payload: bytes, key: SignatureKey) -> bytes:
    """The signature of a carrier over a payload."""
    return key.sign(_to_be_signed(payload))


def verify_trust_list(payload: bytes, signature: bytes, signer_spki: bytes) -> None:
    """Raises TrustListRefused unless the signer that the configuration names has signed."""
    try:
        signer = public_key_info(signer_spki)
    except DerError as error:
        raise TrustListRefused("the signer's key is none", raw=signer_spki) from error
    if not is_ecdsa_signed(signer, ECDSA_SHA256, _to_be_signed(payload), signature):
        raise TrustListRefused("not signed by the signer that the configuration names", raw=signature)


def read_trust_list(octets: bytes, signer_spki: bytes, generation: int, held: int | None) -> TrustAnchorList:
    """The list that was fetched, after every check of a client. Raises TrustListRefused."""
    signed = SignedTrustList.decode(octets)
    verify_trust_list(signed.payload, signed.signature, signer_spki)
    found = _decoded(signed.payload)
    found.verify(generation, held)
    return found


_decoded = lru_cache(maxsize=_KEPT_LISTS)(TrustAnchorList.decode)


def verify_trust_anchor(anchor: TrustAnchor) -> None:
    """An anchor signs itself, is a CA, and its ``.6`` is the vendor it is listed for. Raises TrustListRefused."""
    try:
        certificate = anchor.certificate
    except DerError as error:
        raise TrustListRefused("an anchor is no certificate", raw=anchor.der) from error
    if findings := [*check_algorithm(certificate), *check_ca_basic_constraints(certificate)]:
        raise TrustListRefused(findings[0].message, raw=findings[0].raw)
    problem = link_problem(certificate, certificate)
    if problem is not None:
        raise TrustListRefused("an anchor does not sign itself", raw=anchor.der)
    if vendor_of(certificate) != anchor.vendor_id:
        raise TrustListRefused(f"an anchor is listed for the vendor {anchor.vendor_id} and is not its")


def _to_be_signed(payload: bytes) -> bytes:
    return encode_opaque(_LABEL) + encode_opaque(payload)


def _json_object(octets: bytes) -> dict[str, Any]:
    if len(octets) > _MAX_LIST_OCTETS:
        raise TrustListRefused(f"a list of {len(octets)} octets")
    try:
        body = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise TrustListRefused("no JSON", raw=octets) from error
    if not isinstance(body, dict):
        raise TrustListRefused("no JSON object", raw=octets)
    return body


def _number(body: dict[str, Any], name: str) -> int:
    number = body.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_NUMBER:
        raise TrustListRefused(f"no number {name}")
    return number


def _octets(body: dict[str, Any], name: str) -> bytes:
    text = body.get(name)
    try:
        if not isinstance(text, str):
            raise ValueError("no text")
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise TrustListRefused(f"{name} is not base64") from error


def _anchor(listed: object) -> TrustAnchor:
    if not isinstance(listed, dict):
        raise TrustListRefused("an anchor is no JSON object")
    return TrustAnchor(_number(listed, "vendor_id"), _number(listed, "kds"), _octets(listed, "der"))

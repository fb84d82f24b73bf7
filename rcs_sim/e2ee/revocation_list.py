"""The list of revoked certificates that a carrier's key service publishes (RCC.16 digest §2.5, §2.6; RFC 5280 §5).

It is signed by the root of the carrier's vendor and lists serial numbers, which count for every certificate of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.certificate import Certificate, certificate_number
from rcs_sim.e2ee.der import (
    BOOLEAN,
    INTEGER,
    MAX_DER_OCTETS,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    DerReader,
    encode_oid,
)
from rcs_sim.e2ee.public_key_info import is_ecdsa_signed, read_algorithm
from rcs_sim.e2ee.trust_anchors import TrustAnchors

__all__ = ["RevocationList", "RevocationListRefused"]

_SPEC = "RFC 5280 §5"
_EXTENSIONS = 0xA0
_VERSION_2 = 1
_CRL_NUMBER = encode_oid("2.5.29.20")
_SKEW_S = 300  # of the issuer's clock (choice)


class RevocationListRefused(RemoteProtocolError):
    """A revocation list is not to be used. The one held before stays."""

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message, spec=_SPEC, raw=raw)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """*serials* are contents of serial numbers without leading zeros; *number* is cRLNumber, 0 without one. Times are
    seconds since 1970."""

    issuer: bytes
    issued_s: int
    next_s: int
    number: int
    serials: frozenset[bytes]

    @classmethod
    def read(cls, der: bytes, anchors: TrustAnchors, now_s: int, held: RevocationList | None = None) -> RevocationList:
        """The list in *der* if one of *anchors* has signed it and it is no older than the one *held*, if that is of the
        same issuer: each counts its own. A list that has run out is read all the same: what it revokes stays revoked.
        Raises RevocationListRefused, and nothing else, on any octets."""
        try:
            found, signed, algorithm, signature = _read(der)
        except DerError as error:
            raise RevocationListRefused(f"no revocation list: {error}", raw=der[:64]) from error
        if not any(
            _is_signed_by(each.certificate, signed, algorithm, signature) for each in anchors.find(found.issuer)
        ):
            raise RevocationListRefused("a revocation list is not signed by the root of the directory", raw=der[:64])
        if found.issued_s > now_s + _SKEW_S:
            raise RevocationListRefused(f"a revocation list of {found.issued_s}, now is {now_s}", raw=der[:64])
        if held is not None and found.is_before(held):
            raise RevocationListRefused("a revocation list is older than the one held", raw=der[:64])
        return found

    def is_before(self, other: RevocationList) -> bool:
        """Whether its issuer has made *other* after it."""
        return self.issuer == other.issuer and (self.number, self.issued_s) < (other.number, other.issued_s)

    def is_stale(self, now_s: int) -> bool:
        """Whether the next one should have come by now."""
        return now_s > self.next_s


def _is_signed_by(issuer: Certificate, signed: bytes, algorithm: bytes, signature: bytes) -> bool:
    try:
        return is_ecdsa_signed(issuer.public_key, read_algorithm(algorithm), signed, signature)
    except DerError:
        return False


def _read(der: bytes) -> tuple[RevocationList, bytes, bytes, bytes]:
    """The list, the octets that are signed, the algorithm, the signature. Raises DerError."""
    if len(der) > MAX_DER_OCTETS:
        raise DerError(f"{len(der)} octets", spec=_SPEC)
    reader = DerReader(der)
    body = reader.nested()
    reader.finish()
    signed, outer, signature = body.element(SEQUENCE), body.element(SEQUENCE).octets, body.bit_string()
    body.finish()
    fields = DerReader(signed.content)
    if fields.integer() != _VERSION_2 or fields.element(SEQUENCE).octets != outer:
        raise DerError("a list of another version, or with two algorithms", spec=_SPEC)
    issuer, issued_s, next_s = fields.element(SEQUENCE).octets, fields.time().at_s, fields.time().at_s
    entries = fields.optional(SEQUENCE)
    serials = frozenset() if entries is None else _serials(entries.content)
    number = _number(fields.element(_EXTENSIONS).content)
    fields.finish()
    return RevocationList(issuer, issued_s, next_s, number, serials), signed.octets, outer, signature


def _serials(content: bytes) -> frozenset[bytes]:
    """What is revoked, whatever the reason. An entry with a critical extension would mean something else (§5.3)."""
    reader, found = DerReader(content), set[bytes]()
    while not reader.is_at_end:
        entry = reader.nested()
        found.add(certificate_number(entry.content(INTEGER)))
        entry.time()
        if (extensions := entry.optional(SEQUENCE)) is not None:
            _refuse_critical(DerReader(extensions.content))
        entry.finish()
    return frozenset(found)


def _number(content: bytes) -> int:
    """cRLNumber. A critical extension, such as that of a delta or of a partial list, is not understood here."""
    reader = DerReader(content)
    extensions = reader.nested()
    reader.finish()
    return _refuse_critical(extensions)


def _refuse_critical(extensions: DerReader) -> int:
    """Reads all extensions, and returns the cRLNumber among them. Raises DerError on one that is critical."""
    number = 0
    while not extensions.is_at_end:
        extension = extensions.nested()
        oid = extension.oid()
        is_critical = extension.next_tag() == BOOLEAN and extension.boolean()
        value = extension.content(OCTET_STRING)
        extension.finish()
        if is_critical:
            raise DerError("a critical extension that is not known", spec=_SPEC, raw=value)
        if oid == _CRL_NUMBER:
            inner = DerReader(value)
            number = inner.integer()
            inner.finish()
    return number

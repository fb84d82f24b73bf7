"""IMS AKA: the two ends that share K, and AKA inside Digest (TS 33.102 §6.3, RFC 3310, RFC 4169)."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Final, Self

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.digest import (
    Algorithm,
    DigestChallenge,
    DigestCredentials,
    compute_ha1,
    compute_ha2,
    compute_response,
    compute_session_ha1,
)
from ims_core.wire.secret import Secret
from ims_core.wire.sip.milenage import Milenage, xor

__all__ = [
    "AKAV1_MD5",
    "AKAV2_MD5",
    "AkaChallenge",
    "AkaParseError",
    "AkaResponse",
    "AkaSubscription",
    "AuthenticationCentre",
    "AuthenticationVector",
    "MacFailure",
    "SyncFailure",
    "Usim",
    "aka_password",
    "parse_auts",
    "refusal_credentials",
    "resynchronisation_credentials",
]

AKAV1_MD5: Final = Algorithm.parse("AKAv1-MD5")
AKAV2_MD5: Final = Algorithm.parse("AKAv2-MD5")

IND_BITS: Final = 5  # TS 33.102 §C.3.2: SQN = SEQ || IND
_IND_MASK: Final = (1 << IND_BITS) - 1
_SQN_OCTETS: Final = 6
_MAX_SQN: Final = (1 << 48) - 1
_AUTS_OCTETS: Final = 14
_BLOCK_OCTETS: Final = 16
_MAX_NONCE_CHARACTERS: Final = 1024  # 44 hold RAND and AUTN; the rest is the server's own


class AkaParseError(RemoteProtocolError):
    """A nonce or an AUTS that cannot be AKA's."""


# -------------------------------------------------------------------------------------------------- values on the wire


@dataclass(frozen=True, slots=True)
class AkaChallenge:
    """RAND and AUTN, 16 octets each, as the nonce carries them (RFC 3310 §3.2)."""

    rand: bytes
    autn: bytes
    server_data: bytes = b""

    @classmethod
    def from_nonce(cls, nonce: str) -> Self:
        """Raises AkaParseError if *nonce* is not base64 of at least 32 octets."""
        octets = _decode_base64(nonce, "nonce")
        if len(octets) < 2 * _BLOCK_OCTETS:
            raise AkaParseError("the nonce is too short for RAND and AUTN", spec="RFC 3310 §3.2", raw=octets)
        return cls(octets[:16], octets[16:32], octets[32:])

    @property
    def nonce(self) -> str:
        return base64.b64encode(self.rand + self.autn + self.server_data).decode("ascii")


def parse_auts(text: str) -> bytes:
    """The 14 octets of the ``auts`` parameter (RFC 3310 §3.2). Raises AkaParseError."""
    auts = _decode_base64(text, "auts")
    if len(auts) != _AUTS_OCTETS:
        raise AkaParseError("AUTS has 14 octets", spec="TS 33.102 §6.3.3", raw=auts)
    return auts


def _decode_base64(text: str, name: str) -> bytes:
    """Padding may be missing, as some stacks leave it away (choice)."""
    if len(text) <= _MAX_NONCE_CHARACTERS:
        try:
            return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise AkaParseError(f"{name} is not base64", spec="RFC 3310 §3.2", raw=text.encode("utf-8", "backslashreplace"))


def aka_password(algorithm: Algorithm, res: Secret, ck: Secret, ik: Secret) -> Secret:
    """What Digest hashes as the password: RES itself (RFC 3310 §3.3), for AKAv2 a keyed hash of it (RFC 4169 §3)."""
    match algorithm.aka_version:
        case 1:
            return res
        case 2 if algorithm.hash_name is not None:
            hash_name = algorithm.hash_name.replace("-", "").lower()
            key = res.octets + ik.octets + ck.octets
            return Secret(base64.b64encode(hmac.digest(key, b"http-digest-akav2-password", hash_name)))
    raise LocalProtocolError(f"{algorithm.name!r} is not an AKA algorithm", spec="RFC 3310 §3.1")


# ----------------------------------------------------------------------------------------------------------- the USIM


@dataclass(frozen=True, slots=True)
class AkaResponse:
    """The network is genuine and fresh: RES and the session keys (TS 33.102 §6.3.3)."""

    res: Secret
    ck: Secret
    ik: Secret

    def password(self, algorithm: Algorithm) -> Secret:
        """For `DigestClient`."""
        return aka_password(algorithm, self.res, self.ck, self.ik)


@dataclass(frozen=True, slots=True)
class SyncFailure:
    """SQN is not fresh; AUTS tells the network which one to go on from (TS 33.102 §6.3.3)."""

    auts: bytes


@dataclass(frozen=True, slots=True)
class MacFailure:
    """Whoever sent the challenge does not know K (TS 33.102 §6.3.3)."""


class Usim:
    """The subscriber's end of AKA: K, OPc and the highest sequence number taken so far (TS 33.102 §6.3.3, §C.2).

    By default SQN has to be greater than the last one [SIM] (choice). With *accepts_reordered* the rule is that of
    TS 33.102 §C.2.2: SEQ has to be greater than the one last taken with the same IND, so vectors may come out of order.
    *max_jump* bounds by how much SEQ may run ahead (the optional Δ of §C.2.1).
    """

    __slots__ = ("_accepts_reordered", "_max_jump", "_milenage", "_seq_by_ind", "_sqn")

    def __init__(
        self, k: Secret, opc: Secret, *, sqn: int = 0, accepts_reordered: bool = False, max_jump: int | None = None
    ) -> None:
        self._milenage = Milenage(k, opc)
        self._sqn = sqn
        self._accepts_reordered = accepts_reordered
        self._max_jump = max_jump
        self._seq_by_ind: dict[int, int] = {}

    @property
    def sqn(self) -> int:
        """SQN_MS: the highest accepted. The one value that a handset keeps when it is switched off."""
        return self._sqn

    def authenticate(self, rand: bytes, autn: bytes) -> AkaResponse | SyncFailure | MacFailure:
        """The AUTHENTICATE command (TS 31.102 §7.1.2). *rand* and *autn* have 16 octets each."""
        milenage = self._milenage
        if len(autn) != _BLOCK_OCTETS:
            raise LocalProtocolError("AUTN has 16 octets", spec="TS 33.102 §6.3.2")
        sqn_octets, amf = xor(autn[:6], milenage.f5(rand)), autn[6:8]
        if not hmac.compare_digest(milenage.f1(rand, sqn_octets, amf), autn[8:]):
            return MacFailure()
        sqn = int.from_bytes(sqn_octets, "big")
        if not self._is_fresh(sqn):
            return SyncFailure(self._auts(rand))
        self._take(sqn)
        return AkaResponse(Secret(milenage.f2(rand)), Secret(milenage.f3(rand)), Secret(milenage.f4(rand)))

    def _is_fresh(self, sqn: int) -> bool:
        seq = sqn >> IND_BITS
        if self._max_jump is not None and seq - (self._sqn >> IND_BITS) > self._max_jump:
            return False
        if not self._accepts_reordered:
            return sqn > self._sqn
        ind = sqn & _IND_MASK
        return seq > (self._sqn >> IND_BITS if ind == self._sqn & _IND_MASK else self._seq_by_ind.get(ind, 0))

    def _take(self, sqn: int) -> None:
        if self._accepts_reordered:
            self._seq_by_ind[self._sqn & _IND_MASK] = self._sqn >> IND_BITS
            self._seq_by_ind[sqn & _IND_MASK] = sqn >> IND_BITS
        self._sqn = max(self._sqn, sqn)

    def _auts(self, rand: bytes) -> bytes:
        sqn = self._sqn.to_bytes(_SQN_OCTETS, "big")
        return xor(sqn, self._milenage.f5_star(rand)) + self._milenage.f1_star(rand, sqn)


def resynchronisation_credentials(
    challenge: DigestChallenge, failure: SyncFailure, username: str, method: str, uri: str, cnonce: str
) -> DigestCredentials:
    """The answer to a stale SQN: ``auts``, and a response over the empty password (RFC 3310 §3.4)."""
    algorithm, qop = challenge.hash_algorithm, challenge.chosen_qop
    ha1 = compute_ha1(algorithm, username, challenge.realm, b"")
    nc = None if qop is None else "00000001"
    response = compute_response(
        algorithm,
        compute_session_ha1(algorithm, ha1, challenge.nonce, cnonce),
        challenge.nonce,
        compute_ha2(algorithm, method, uri, qop),
        qop=qop,
        nc=nc,
        cnonce=cnonce,
    )
    return DigestCredentials(
        username=username,
        realm=challenge.realm,
        uri=uri,
        nonce=challenge.nonce,
        response=response,
        algorithm=challenge.algorithm,
        qop=qop,
        nc=nc,
        cnonce=cnonce if qop is not None or algorithm.is_session else None,
        opaque=challenge.opaque,
        auts=base64.b64encode(failure.auts).decode("ascii"),
    )


def refusal_credentials(challenge: DigestChallenge, username: str, uri: str) -> DigestCredentials:
    """The answer to a challenge of a false network: no ``auts``, empty response (TS 24.229 §5.1.1.5.3)."""
    return DigestCredentials(
        username=username,
        realm=challenge.realm,
        uri=uri,
        nonce=challenge.nonce,
        algorithm=challenge.algorithm,
        opaque=challenge.opaque,
    )


# ------------------------------------------------------------------------------------------- the authentication centre


@dataclass(frozen=True, slots=True)
class AkaSubscription:
    """What the authentication centre holds for one IMPI. *sqn* is SQN_HE: the last one given out."""

    k: Secret
    opc: Secret
    sqn: int = 0
    amf: bytes = bytes(2)


@dataclass(frozen=True, slots=True)
class AuthenticationVector:
    """RAND, AUTN, XRES, CK, IK: enough to authenticate a USIM once (TS 33.102 §6.3.2)."""

    challenge: AkaChallenge
    xres: Secret
    ck: Secret
    ik: Secret

    @property
    def nonce(self) -> str:
        return self.challenge.nonce

    def password(self, algorithm: Algorithm) -> Secret:
        """What the USIM's end hashes as the password if it is the right one."""
        return aka_password(algorithm, self.xres, self.ck, self.ik)


class AuthenticationCentre:
    """The network's end of AKA: makes vectors and follows AUTS, per IMPI (TS 33.102 §6.3.2, §6.3.5)."""

    __slots__ = ("_milenage", "_sqn", "_subscriptions")

    def __init__(self) -> None:
        self._subscriptions: dict[str, AkaSubscription] = {}
        self._milenage: dict[str, Milenage] = {}
        self._sqn: dict[str, int] = {}

    def provision(self, impi: str, subscription: AkaSubscription) -> None:
        self._subscriptions[impi] = subscription
        self._milenage[impi] = Milenage(subscription.k, subscription.opc)
        self._sqn[impi] = subscription.sqn

    def remove(self, impi: str) -> None:
        for table in (self._subscriptions, self._milenage, self._sqn):
            table.pop(impi, None)

    def __contains__(self, impi: object) -> bool:
        return impi in self._sqn

    def sqn(self, impi: str) -> int:
        """SQN_HE, to be stored whenever it has changed: a USIM refuses a centre that has forgotten it."""
        return self._sqn[self._known(impi)]

    def generate(self, impi: str, rand: bytes) -> AuthenticationVector:
        """The next vector; *rand* is 16 random octets. Raises LocalProtocolError if *impi* is unknown or out of SQN."""
        milenage, amf = self._milenage[self._known(impi)], self._subscriptions[impi].amf
        sqn = self._next_sqn(impi)
        if sqn > _MAX_SQN:
            raise LocalProtocolError(f"the sequence numbers of {impi} are used up", spec="TS 33.102 §C.3.2")
        self._sqn[impi] = sqn
        sqn_octets = sqn.to_bytes(_SQN_OCTETS, "big")
        autn = xor(sqn_octets, milenage.f5(rand)) + amf + milenage.f1(rand, sqn_octets, amf)
        xres, ck, ik = (Secret(function(rand)) for function in (milenage.f2, milenage.f3, milenage.f4))
        return AuthenticationVector(AkaChallenge(rand, autn), xres, ck, ik)

    def resynchronise(self, impi: str, rand: bytes, auts: bytes) -> bool:
        """Takes SQN_MS out of *auts*; False if the USIM did not make it.

        *rand* is that of the challenge that was just given out: the caller does not let an old one be replayed.
        """
        milenage = self._milenage[self._known(impi)]
        if len(auts) != _AUTS_OCTETS:
            return False
        sqn = xor(auts[:6], milenage.f5_star(rand))
        if not hmac.compare_digest(milenage.f1_star(rand, sqn), auts[6:]):
            return False
        # Always taken over, down as well as up: a USIM with a jump limit also refuses an SQN that is too far ahead.
        self._sqn[impi] = int.from_bytes(sqn, "big")
        return True

    def _next_sqn(self, impi: str) -> int:
        """SEQ + 1 with the same IND: adds 32 [SIM] (choice)."""
        return self._sqn[impi] + (1 << IND_BITS)

    def _known(self, impi: str) -> str:
        if impi not in self._sqn:
            raise LocalProtocolError(f"no AKA subscription for {impi}", spec="TS 33.102 §6.3.2")
        return impi

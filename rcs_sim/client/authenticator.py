"""Answers the network's challenges: Digest with a password, AKA with the USIM (RFC 7616, RFC 3310, digest §2.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from ims_core.wire.digest import (
    PASSWORD_ALGORITHMS,
    Algorithm,
    DigestAuthenticationInfo,
    DigestChallenge,
    DigestClient,
    DigestCredentials,
    DigestParseError,
    Password,
    choose_challenge,
    compute_ha1,
    compute_ha2,
    compute_response,
    parse_challenges,
)
from ims_core.wire.sip.aka import (
    AKAV1_MD5,
    AKAV2_MD5,
    AkaChallenge,
    AkaParseError,
    AkaResponse,
    MacFailure,
    SyncFailure,
    Usim,
    refusal_credentials,
    resynchronisation_credentials,
)
from ims_core.wire.sip.message import Response
from rcs_sim.client.account import Account
from rcs_sim.wire.rcs_configuration import AuthType

__all__ = ["AnswerKind", "Authenticator", "ChallengeAnswer"]

_AKA_ALGORITHMS = frozenset((AKAV1_MD5, AKAV2_MD5))


class AnswerKind(Enum):
    ANSWERED = auto()
    RESYNCHRONISED = auto()  # AUTS: the network's sequence number was stale
    NETWORK_REFUSED = auto()  # the challenge does not come from the home network
    FRESH_NONCE = auto()  # ``stale=true``: the credentials were right, the nonce was old


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """Header field that carries the credentials (Authorization or Proxy-Authorization), its value, and what it is."""

    header: str
    value: str
    kind: AnswerKind


class Authenticator:
    """Credentials of one account. Keeps the last challenge, so that later requests need no new one."""

    __slots__ = ("_account", "_client", "_copies_qop", "_echoes_opaque", "_header", "_sent", "_usim")

    def __init__(
        self, account: Account, usim: Usim | None = None, *, echoes_opaque: bool = True, copies_qop: bool = False
    ) -> None:
        self._account = account
        self._usim = usim
        self._echoes_opaque = echoes_opaque
        self._copies_qop = copies_qop
        self._client: DigestClient | None = None
        self._header = "Authorization"
        self._sent: DigestCredentials | None = None

    def unchallenged(self) -> str:
        """Authorization of the first REGISTER: tells the IMPI, with empty nonce and response (TS 24.229 §5.1.1.2)."""
        account = self._account
        algorithm = AKAV1_MD5 if account.auth_type == AuthType.AKA else None
        return str(DigestCredentials(account.impi, account.realm, account.request_uri, algorithm=algorithm))

    def for_another_challenger(self) -> Authenticator:
        """The same account, for a challenge that is not the registrar's."""
        return Authenticator(self._account, self._usim, echoes_opaque=self._echoes_opaque, copies_qop=self._copies_qop)

    def forget(self) -> None:
        """The next request is to be unchallenged again."""
        self._client = self._sent = None

    @property
    def has_challenge(self) -> bool:
        return self._client is not None

    def answer(
        self, response: Response, method: str, uri: str, cnonce: str, body: bytes = b""
    ) -> ChallengeAnswer | None:
        """Credentials for a 401 or 407; None if no challenge can be answered. The challenge is kept for `again`."""
        field, header = (
            ("Proxy-Authenticate", "Proxy-Authorization")
            if response.status == 407
            else ("WWW-Authenticate", "Authorization")
        )
        challenge = choose_challenge(parse_challenges(response.texts(field)), self._algorithms())
        if challenge is None:
            return None
        self._header = header
        if challenge.hash_algorithm.aka_version is not None:
            return self._answer_aka(challenge, method, uri, cnonce, body)
        if self._account.password is None:
            return None
        kind = AnswerKind.FRESH_NONCE if challenge.stale else AnswerKind.ANSWERED
        return self._start(challenge, self._account.password, kind, method, uri, cnonce, body)

    def again(self, method: str, uri: str, cnonce: str, body: bytes = b"") -> ChallengeAnswer | None:
        """Credentials over the last challenge, with the next nonce count; None before the first challenge."""
        client = self._client
        if client is None:
            return None
        credentials = self._as_the_device_writes(client, client.authorize(method, uri, cnonce, body), method, body)
        self._sent = credentials
        return ChallengeAnswer(self._header, str(credentials), AnswerKind.ANSWERED)

    def accept(self, response: Response) -> bool:
        """Reads the Authentication-Info of a 2xx; False if the server does not know the secret (RFC 7616 §3.5)."""
        text, client, sent = response.text("Authentication-Info"), self._client, self._sent
        if text is None or client is None or sent is None:
            return True
        try:
            received = DigestAuthenticationInfo.parse(text)
        except DigestParseError:
            return True
        return client.accept(received, sent, response.body)

    def _algorithms(self) -> frozenset[Algorithm]:
        none: frozenset[Algorithm] = frozenset()
        password = PASSWORD_ALGORITHMS if self._account.password is not None else none
        return password | (_AKA_ALGORITHMS if self._usim is not None else none)

    def _answer_aka(
        self, challenge: DigestChallenge, method: str, uri: str, cnonce: str, body: bytes
    ) -> ChallengeAnswer | None:
        usim, impi = self._usim, self._account.impi
        try:
            aka = AkaChallenge.from_nonce(challenge.nonce)
        except AkaParseError:
            return None
        outcome = None if usim is None else usim.authenticate(aka.rand, aka.autn)
        match outcome:
            case AkaResponse():
                password = outcome.password(challenge.hash_algorithm)
                return self._start(challenge, password, AnswerKind.ANSWERED, method, uri, cnonce, body)
            case SyncFailure():
                value = str(resynchronisation_credentials(challenge, outcome, impi, method, uri, cnonce))
                return ChallengeAnswer(self._header, value, AnswerKind.RESYNCHRONISED)
            case MacFailure():
                value = str(refusal_credentials(challenge, impi, uri))
                return ChallengeAnswer(self._header, value, AnswerKind.NETWORK_REFUSED)
        return None

    def _start(
        self,
        challenge: DigestChallenge,
        password: Password,
        kind: AnswerKind,
        method: str,
        uri: str,
        cnonce: str,
        body: bytes,
    ) -> ChallengeAnswer:
        client = self._client = DigestClient(challenge, self._account.impi, password)
        credentials = client.authorize(method, uri, cnonce, body)
        if self._copies_qop and len(challenge.qop) > 1:
            credentials = _with_qop_as_received(credentials, challenge, self._account.impi, password, method, body)
        self._sent = credentials = credentials if self._echoes_opaque else replace(credentials, opaque=None)
        return ChallengeAnswer(self._header, str(credentials), kind)

    def _as_the_device_writes(
        self, client: DigestClient, credentials: DigestCredentials, method: str, body: bytes
    ) -> DigestCredentials:
        if self._copies_qop and len(client.challenge.qop) > 1 and self._account.password is not None:
            impi, password = self._account.impi, self._account.password
            credentials = _with_qop_as_received(credentials, client.challenge, impi, password, method, body)
        return credentials if self._echoes_opaque else replace(credentials, opaque=None)


def _with_qop_as_received(
    credentials: DigestCredentials,
    challenge: DigestChallenge,
    username: str,
    password: Password,
    method: str,
    body: bytes,
) -> DigestCredentials:
    """What a client computes that copies ``qop`` without choosing: a list gives a response that nobody accepts."""
    algorithm, qop = challenge.hash_algorithm, ",".join(challenge.qop)
    response = compute_response(
        algorithm,
        compute_ha1(algorithm, username, challenge.realm, password),
        challenge.nonce,
        compute_ha2(algorithm, method, credentials.uri, None, body),
        qop=qop,
        nc=credentials.nc,
        cnonce=credentials.cnonce,
    )
    return replace(credentials, qop=qop, response=response)

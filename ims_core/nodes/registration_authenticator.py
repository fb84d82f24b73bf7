"""Who sent a REGISTER: challenges and their answers at the S-CSCF (TS 24.229 §5.4.1.2, RFC 3310, RFC 7616)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ims_core.cx import Cx, CxResult, MultimediaAuthAnswer
from ims_core.nodes.registration_state import RegistrationInput
from ims_core.store.subscribers import AuthenticationScheme
from ims_core.wire.digest import (
    MD5,
    Algorithm,
    DigestChallenge,
    DigestCredentials,
    compute_ha1,
    is_authentic,
    plain_challenge,
    server_proof,
)
from ims_core.wire.nonce_book import NonceBook, NonceVerdict
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import AKAV1_MD5, AkaChallenge, AkaParseError, parse_auts
from ims_core.wire.sip.memo import slot_setters

__all__ = ["Examination", "RegistrationAuthenticator"]

_NONCE_OCTETS: Final = 16
_MAX_AKA_CHALLENGES: Final = 100_000  # as many as the nonce book remembers
_ALGORITHMS: Final = {scheme: Algorithm.parse(scheme.value) for scheme in AuthenticationScheme}


@dataclass(frozen=True, slots=True, init=False)
class Examination:
    """What the credentials of a REGISTER come to. *answer* is the MAA that a challenge can be made of, if one was asked
    for; *ha1* proves the server to the client (Authentication-Info)."""

    event: RegistrationInput
    answer: MultimediaAuthAnswer | None = None
    ha1: str = ""

    def __init__(self, event: RegistrationInput, answer: MultimediaAuthAnswer | None = None, ha1: str = "") -> None:
        _set_event(self, event)
        _set_answer(self, answer)
        _set_ha1(self, ha1)


_set_event, _set_answer, _set_ha1 = slot_setters(Examination)
_UNPROVEN: Final = Examination(RegistrationInput.UNPROVEN)


@dataclass(frozen=True, slots=True)
class _AkaSecret:
    impi: str
    password: Secret
    expires_at: float


class RegistrationAuthenticator:
    """Makes challenges and examines their answers. One algorithm for each subscriber: that of his subscription."""

    __slots__ = ("_aka", "_book", "_cx", "_life_s", "_octets")

    def __init__(self, cx: Cx, octets: Callable[[int], bytes], *, await_auth_s: float, granted_s: float) -> None:
        """*octets* is the source of randomness. A nonce that was used once lives as long as a registration: with it a
        client refreshes and de-registers (real-clients row 5)."""
        self._cx = cx
        self._octets = octets
        self._life_s = max(await_auth_s, granted_s)
        self._book = NonceBook(life_s=await_auth_s, used_life_s=self._life_s)
        self._aka: OrderedDict[str, _AkaSecret] = OrderedDict()

    def examine(self, impi: str, key: str, credentials: DigestCredentials | None, now: float) -> Examination:
        """Classifies the credentials of a REGISTER for the user with *impi* and identity key *key*."""
        if credentials is None or not credentials.nonce:
            return _UNPROVEN
        if credentials.auts:
            return self._examine_auts(key, credentials)
        if not credentials.response:
            return Examination(RegistrationInput.REFUSED)
        known = self._aka.get(credentials.nonce)
        if known is not None:
            return self._examine_aka(impi, known, credentials, now)
        answer = self._cx.multimedia_auth(credentials.username, key, credentials.username)
        if answer.ha1 is None or answer.scheme is None:
            return Examination(RegistrationInput.UNPROVEN, answer)  # an AKA nonce that is too old to be judged
        return self._examine_digest(answer, answer.scheme, answer.ha1, credentials, now)

    def challenge(
        self,
        key: str,
        credentials: DigestCredentials | None,
        answer: MultimediaAuthAnswer | None,
        now: float,
        *,
        is_stale: bool = False,
    ) -> tuple[MultimediaAuthAnswer, str | None]:
        """The MAA and, if that is a success, the next challenge: the value of WWW-Authenticate."""
        if answer is None:
            username = None if credentials is None else credentials.username or None
            answer = self._cx.multimedia_auth(username, key, username)
        if answer.result is not CxResult.SUCCESS or answer.scheme is None:
            return answer, None
        algorithm, vector = _ALGORITHMS[answer.scheme], answer.vector
        if vector is None:
            nonce = self._book.issue(now, self._octets(_NONCE_OCTETS))
            return answer, plain_challenge(answer.realm, nonce, algorithm, is_stale=is_stale)
        self._remember(vector.nonce, _AkaSecret(answer.impi, vector.password(algorithm), now + self._life_s), now)
        challenge = DigestChallenge(answer.realm, vector.nonce, algorithm, stale=is_stale, ck=vector.ck, ik=vector.ik)
        return answer, str(challenge)

    def resynchronise(self, key: str, credentials: DigestCredentials) -> MultimediaAuthAnswer:
        """MAR with AUTS: the HSS follows the USIM's sequence number (TS 33.102 §6.3.5)."""
        try:
            rand = AkaChallenge.from_nonce(credentials.nonce).rand
            auts = parse_auts(credentials.auts or "")
        except AkaParseError:
            return MultimediaAuthAnswer(CxResult.AUTHORIZATION_REJECTED)
        return self._cx.multimedia_auth(credentials.username, key, credentials.username, resync=(rand, auts))

    def server_proof(self, credentials: DigestCredentials, ha1: str) -> str:
        """Value of Authentication-Info for the 200."""
        return server_proof(credentials, ha1)

    def _examine_digest(
        self,
        answer: MultimediaAuthAnswer,
        scheme: AuthenticationScheme,
        ha1: Secret,
        credentials: DigestCredentials,
        now: float,
    ) -> Examination:
        text = ha1.octets.decode("ascii", "replace")
        is_right = (
            credentials.realm == answer.realm
            and (credentials.algorithm or MD5) is _ALGORITHMS[scheme]
            and is_authentic(credentials, text, "REGISTER")
        )
        if not is_right:
            return Examination(RegistrationInput.WRONG, answer)
        if self._book.use(credentials.nonce, credentials.nonce_count, now) is not NonceVerdict.ACCEPTED:
            return Examination(RegistrationInput.STALE, answer)
        return Examination(RegistrationInput.AUTHENTIC, answer, text)

    def _examine_aka(self, impi: str, known: _AkaSecret, credentials: DigestCredentials, now: float) -> Examination:
        ha1 = compute_ha1(AKAV1_MD5, credentials.username, credentials.realm, known.password)
        is_right = (
            known.impi == impi
            and credentials.hash_algorithm is AKAV1_MD5
            and is_authentic(credentials, ha1, "REGISTER")
        )
        if not is_right:
            return Examination(RegistrationInput.WRONG)
        if self._book.use(credentials.nonce, credentials.nonce_count, now).is_stale:
            return Examination(RegistrationInput.STALE)
        return Examination(RegistrationInput.AUTHENTIC, ha1=ha1)

    def _examine_auts(self, key: str, credentials: DigestCredentials) -> Examination:
        """Only for a challenge that we gave out: else anybody could move a sequence number back and forth."""
        if credentials.nonce not in self._aka:
            return Examination(RegistrationInput.UNPROVEN)
        return Examination(RegistrationInput.OUT_OF_STEP)

    def _remember(self, nonce: str, secret: _AkaSecret, now: float) -> None:
        while self._aka and (len(self._aka) >= _MAX_AKA_CHALLENGES or next(iter(self._aka.values())).expires_at <= now):
            self._aka.popitem(last=False)
        self._aka[nonce] = secret
        self._book.add(nonce, now)

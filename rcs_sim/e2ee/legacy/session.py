"""One session of the legacy scheme: a double ratchet over a secret that both sides have agreed on (digest RCC.16
§14.12; Double Ratchet §3)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from doubleratchet import (
    AuthenticationFailedException,
    DecryptionFailedException,
    DoSProtectionException,
    DuplicateMessageException,
    EncryptedMessage,
    Header,
)

from rcs_sim.e2ee.legacy.body import AgreementHeader, LegacyBody, RatchetHeader
from rcs_sim.e2ee.legacy.prekeys import Agreed
from rcs_sim.e2ee.legacy.primitives import RATCHET, Ratchet, completed
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.mls.codec import encode_opaque

__all__ = ["LegacySession"]


class LegacySession:
    """*agreement* is the header that it began with; *is_own*: this side began it; *is_answered*: the other one has
    answered, so that the header need not be said any more."""

    __slots__ = ("_associated_data", "_ratchet", "agreement", "is_answered", "is_own")

    def __init__(
        self,
        ratchet: Ratchet,
        agreement: AgreementHeader,
        associated_data: bytes,
        *,
        is_own: bool,
        is_answered: bool = False,
    ) -> None:
        self._ratchet = ratchet
        self._associated_data = associated_data
        self.agreement = agreement
        self.is_own = is_own
        self.is_answered = is_answered

    @classmethod
    def start(cls, agreed: Agreed, plaintext: bytes, message_id: str) -> tuple[Self, bytes]:
        """Begins with a first message; returns its body too."""
        bound = agreed.associated_data + _bound_to(message_id)
        ratchet, message = completed(
            Ratchet.encrypt_initial_message(
                **RATCHET,
                shared_secret=agreed.secret,
                recipient_ratchet_pub=agreed.ratchet_key,
                message=plaintext,
                associated_data=bound,
            )
        )
        session = cls(ratchet, agreed.header, agreed.associated_data, is_own=True)
        return session, session._body(message).encode()

    @classmethod
    def accept(cls, agreed: Agreed, body: LegacyBody, message_id: str) -> tuple[Self, bytes]:
        """Begins with a first message of the other side; returns its plaintext too. Raises LegacyRefused."""
        bound = agreed.associated_data + _bound_to(message_id)
        with _refusals():
            ratchet, plaintext = completed(
                Ratchet.decrypt_initial_message(
                    **RATCHET,
                    shared_secret=agreed.secret,
                    own_ratchet_priv=agreed.ratchet_key,
                    message=_message(body),
                    associated_data=bound,
                )
            )
        return cls(ratchet, agreed.header, agreed.associated_data, is_own=False), plaintext

    def seal(self, plaintext: bytes, message_id: str) -> bytes:
        """The body of a message."""
        bound = self._associated_data + _bound_to(message_id)
        return self._body(completed(self._ratchet.encrypt_message(plaintext, bound))).encode()

    def open(self, body: LegacyBody, message_id: str) -> bytes:
        """The plaintext. Raises LegacyRefused; no key has moved then."""
        bound = self._associated_data + _bound_to(message_id)
        with _refusals():
            plaintext = completed(self._ratchet.decrypt_message(_message(body), bound))
        self.is_answered = True
        return plaintext

    def _body(self, message: EncryptedMessage) -> LegacyBody:
        header = message.header
        ratchet = RatchetHeader(header.ratchet_pub, header.previous_sending_chain_length, header.sending_chain_length)
        is_told = self.is_own and not self.is_answered
        return LegacyBody(ratchet, message.ciphertext, self.agreement if is_told else None)

    # --- snapshot ----------------------------------------------------------------------------------------------------

    def members(self) -> dict[str, Any]:
        """For a snapshot: JSON values, the secrets too."""
        return {
            "ratchet": self._ratchet.json,
            "agreement": self.agreement.encode().hex(),
            "associated_data": self._associated_data.hex(),
            "is_own": self.is_own,
            "is_answered": self.is_answered,
        }

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """The session that `members` wrote."""
        return cls(
            Ratchet.from_json(members["ratchet"], **RATCHET),
            AgreementHeader.decode(bytes.fromhex(members["agreement"])),
            bytes.fromhex(members["associated_data"]),
            is_own=members["is_own"],
            is_answered=members["is_answered"],
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """What the library says against a message, in our words. It warns where the keys of a whole chain are too many to
    keep: those messages are lost, and the session goes on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DuplicateMessageException as error:
        raise LegacyRefused(LegacyRefusal.REPLAYED) from error
    except DoSProtectionException as error:
        raise LegacyRefused(LegacyRefusal.TOO_FAR, str(error)) from error
    except (AuthenticationFailedException, DecryptionFailedException, ValueError) as error:
        raise LegacyRefused(LegacyRefusal.NOT_AUTHENTIC, str(error)) from error


def _bound_to(message_id: str) -> bytes:
    return encode_opaque(message_id.encode("utf-8", "surrogateescape"))


def _message(body: LegacyBody) -> EncryptedMessage:
    header = body.ratchet
    return EncryptedMessage(Header(header.public_key, header.previous_length, header.number), body.ciphertext)

"""Headers of the IMS (RFC 7315, RFC 6050, RFC 3329), whose values are a token and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.header import Header, ParamValue
from ims_core.wire.sip.params import NO_PARAMS, Params, parse_header_params

__all__ = [
    "PAccessNetworkInfo",
    "PAssertedService",
    "PChargingVector",
    "PPreferredService",
    "SecurityClient",
    "SecurityServer",
    "SecurityVerify",
]


class PAccessNetworkInfo(ParamValue, name="P-Access-Network-Info"):
    """One value of P-Access-Network-Info (RFC 7315 §4.4)."""

    __slots__ = ()
    IS_LIST = True

    @property
    def access_type(self) -> str:
        """Such as 3GPP-E-UTRAN-FDD."""
        return self.value


@dataclass(frozen=True, slots=True)
class PChargingVector(Header, name="P-Charging-Vector"):
    """P-Charging-Vector (RFC 7315 §4.6)."""

    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Self:
        params = parse_header_params(";" + text)
        if not params.has("icid-value"):
            raise SipParseError("P-Charging-Vector without icid-value", raw=text, spec="RFC 7315 §4.6")
        return cls(params)

    @property
    def icid(self) -> str:
        return self.params.get("icid-value") or ""

    def __str__(self) -> str:
        return str(self.params)[1:]


@dataclass(frozen=True, slots=True)
class _ServiceUrn(Header):
    urn: str

    @classmethod
    def parse(cls, text: str) -> Self:
        if not text[:4].lower() == "urn:" or " " in text or not text.isascii():
            raise SipParseError(f"{cls.NAME} is not a URN", raw=text, spec="RFC 6050 §4")
        return cls(text)

    def __str__(self) -> str:
        return self.urn


class PAssertedService(_ServiceUrn, name="P-Asserted-Service"):
    """P-Asserted-Service (RFC 6050 §4.1)."""

    __slots__ = ()
    IS_LIST = True


class PPreferredService(_ServiceUrn, name="P-Preferred-Service"):
    """P-Preferred-Service (RFC 6050 §4.2)."""

    __slots__ = ()
    IS_LIST = True


class _SecurityMechanism(ParamValue):
    __slots__ = ()
    IS_LIST = True

    @property
    def mechanism(self) -> str:
        """Such as ipsec-3gpp, lower case."""
        return self.value.lower()


class SecurityClient(_SecurityMechanism, name="Security-Client"):
    """One mechanism of Security-Client (RFC 3329 §2.2)."""

    __slots__ = ()


class SecurityServer(_SecurityMechanism, name="Security-Server"):
    """One mechanism of Security-Server (RFC 3329 §2.2)."""

    __slots__ = ()


class SecurityVerify(_SecurityMechanism, name="Security-Verify"):
    """One mechanism of Security-Verify (RFC 3329 §2.2)."""

    __slots__ = ()

"""Security agreement headers of the UE (RFC 3329, TS 33.203 §7, digest §2.4). Negotiated; no ESP is run."""

from __future__ import annotations

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.message import HeaderInput, Response

__all__ = ["SecurityAgreement"]

_MECHANISM = "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans"
_REQUIRE: tuple[HeaderInput, ...] = (("Require", "sec-agree"), ("Proxy-Require", "sec-agree"))
_PORT_C, _PORT_S = 50001, 50002  # named in the headers only


class SecurityAgreement:
    """One agreement: offered in the first REGISTER, chosen by the 401, verified by every later request."""

    __slots__ = ("_client", "_tokens", "_verify")

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._client = ""
        self._verify: tuple[str, ...] = ()
        self.restart()

    def restart(self) -> None:
        """A new agreement with new SPIs: for an initial registration, which is over a new flow or after a new start,
        and after 421 or 494 (TS 24.229 §5.1.1.2, §5.1.1.5)."""
        self.renew()
        self._verify = ()

    def renew(self) -> None:
        """New SPIs for the next agreement; the one in force is verified until a challenge tells another one
        (TS 24.229 §5.1.1.4.1)."""
        low, high = 1, 2**31
        spi_c, spi_s = self._tokens.number(low, high), self._tokens.number(low, high)
        self._client = f"{_MECHANISM};spi-c={spi_c};spi-s={spi_s};port-c={_PORT_C};port-s={_PORT_S}"

    def challenged(self, response: Response) -> None:
        """Takes Security-Server of a 401, which Security-Verify repeats unchanged (RFC 3329 §2.3.1)."""
        offers = response.texts("Security-Server")
        if offers:
            self._verify = offers

    def of_register(self) -> tuple[HeaderInput, ...]:
        return (("Security-Client", self._client), *self.of_request(), *(() if self._verify else _REQUIRE))

    def of_request(self) -> tuple[HeaderInput, ...]:
        """Security-Verify and the option tags, in every request once the agreement stands (digest §2.4)."""
        return (*(("Security-Verify", text) for text in self._verify), *_REQUIRE) if self._verify else ()

"""A phone's keys of the legacy scheme, and their place in the directory (digest RCC.16 §14.12).

It is announced as capable only when others can claim its prekeys, and goes on trying by itself until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ims_core.errors import RemoteProtocolError, TransportError
from ims_core.transport.tokens import Tokens
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display
from rcs_sim.client.errands import Errands
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.e2ee.legacy.prekeys import LegacyKeys

__all__ = ["LegacyAccount"]

LOOK_EVERY_S = 24 * 3600  # at the prekeys that are left
_FIRST_RETRIES, _SHORT_S, _LONG_S = 3, 30.0, 300.0  # as for certificates (digest RCC.16 §10.8)


class LegacyAccount:
    """*changed* is called whenever `is_ready` has changed. *keys* last until the phone has another number or is reset;
    *msisdn* is bare digits, "" before the first configuration."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_changed",
        "_display",
        "_errands",
        "_failures",
        "_tokens",
        "_verdict",
        "_work",
        "is_ready",
        "kds",
        "keys",
        "msisdn",
    )

    def __init__(
        self, tokens: Tokens, alarms: Alarms, errands: Errands, display: Display, changed: Callable[[], None]
    ) -> None:
        self._tokens, self._alarms, self._errands, self._display = tokens, alarms, errands, display
        self._changed = changed
        self._alarm = alarms.new(lambda now: self.refill())
        self._failures = 0
        self._work: asyncio.Task[None] | None = None
        self._verdict: asyncio.Event | None = None
        self.kds: KdsClient | None = None
        self.keys = LegacyKeys.generate(tokens.octets)
        self.msisdn = ""
        self.is_ready = False

    def configured(self, kds: KdsClient, msisdn: str) -> bool:
        """A configuration with a directory is in force; says whether the keys are new because the number is."""
        is_new = self.msisdn not in ("", msisdn)
        if is_new:
            self.keys = LegacyKeys.generate(self._tokens.octets)
            self._set_ready(False)
        self.kds, self.msisdn = kds, msisdn
        self._failures = 0
        self.refill()
        return is_new

    def unconfigured(self) -> None:
        """No configuration, or one without a directory."""
        self.kds = None
        self.stop()
        self._set_ready(False)

    def stop(self) -> None:
        """The phone is switched off: what is under way ends, what it has stays."""
        self._alarm.set(None)
        work, self._work = self._work, None
        if work is not None and not work.done():
            work.cancel()

    async def first_verdict(self, within_s: float) -> None:
        """Returns when it is ready, or has failed for the first time, or after *within_s*."""
        if self._work is None or self._work.done() or self.is_ready:
            return
        self._verdict = asyncio.Event()
        try:
            async with asyncio.timeout(within_s):
                await self._verdict.wait()
        except TimeoutError:
            pass  # it goes on by itself
        self._verdict = None

    def refill(self) -> None:
        """Publishes again if it is time; called after each session that a peer has begun."""
        is_busy = self._work is not None and not self._work.done()
        if self.kds is None or is_busy:
            return
        now = self._alarms.now()
        if self.is_ready and not self.keys.needs_refill(int(now)):
            self._alarm.set(now + LOOK_EVERY_S)
            return
        self._work = self._errands.create_task(self._publish(self.kds), name="publication of prekeys")

    async def _publish(self, kds: KdsClient) -> None:
        now = self._alarms.now()
        try:
            await kds.publish_prekeys(self.keys.mint(self.msisdn, int(now)))
        except (TransportError, RemoteProtocolError) as error:
            self._failed(str(error))
        else:
            self._failures = 0
            self._alarm.set(self._alarms.now() + LOOK_EVERY_S)
            self._set_ready(True)
        if self._verdict is not None:
            self._verdict.set()

    def _failed(self, why: str) -> None:
        """The prekeys that were there before are still served."""
        self._failures += 1
        wait_s = _SHORT_S if self._failures <= _FIRST_RETRIES else _LONG_S * (self._failures - _FIRST_RETRIES)
        self._alarm.set(self._alarms.now() + wait_s)
        self._display.state("legacy encryption", "not published", reason=why)

    def _set_ready(self, is_ready: bool) -> None:
        if is_ready is self.is_ready:
            return
        self.is_ready = is_ready
        self._display.state("legacy encryption", "ready" if is_ready else "off")
        self._changed()

    def __repr__(self) -> str:
        return f"LegacyAccount({'ready' if self.is_ready else 'not ready'}, +{self.msisdn})"

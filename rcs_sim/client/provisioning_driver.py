"""Runs `Provisioning` on a network and a clock: sends its requests, waits for its deadlines, delivers its outputs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from ims_core.errors import RemoteProtocolError, TransportError
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HttpClient
from rcs_sim.client.provisioning import Provisioning
from rcs_sim.client.provisioning_values import Access, ProvisioningOutput, SendHttpRequest, Subscription

__all__ = ["ProvisioningDriver", "TaskOwner"]

_log = logging.getLogger(__name__)


class TaskOwner(Protocol):
    """A TaskGroup, or what owns tasks as one does."""

    def create_task(self, work: Coroutine[Any, Any, None], /, *, name: str) -> asyncio.Task[None]: ...


class ProvisioningDriver:
    """One phone's autoconfiguration. A phone at rest costs one timer and no task. *clock* is the phone's own.

    *deliver* gets every output but SendHttpRequest, in order. *tasks* owns the requests. Call events from the loop."""

    __slots__ = ("_clock", "_deliver", "_http", "_name", "_request", "_tasks", "_timer", "core")

    def __init__(
        self,
        core: Provisioning,
        http: HttpClient,
        clock: Clock,
        tasks: TaskOwner,
        deliver: Callable[[ProvisioningOutput], None],
        *,
        name: str = "phone",
    ) -> None:
        self.core = core
        self._http = http
        self._clock = clock
        self._tasks = tasks
        self._deliver = deliver
        self._name = name
        self._timer: asyncio.TimerHandle | None = None
        self._request: asyncio.Task[None] | None = None

    def boot(self) -> None:
        self._carry_out(self.core.boot(self._clock.now()))

    def sim_changed(self, subscription: Subscription) -> None:
        self._carry_out(self.core.sim_changed(subscription, self._clock.now()))

    def factory_reset(self) -> None:
        self._carry_out(self.core.factory_reset(self._clock.now()))

    def switch_on(self) -> None:
        self._carry_out(self.core.switch_on(self._clock.now()))

    def switch_off(self) -> None:
        self._carry_out(self.core.switch_off(self._clock.now()))

    def register_refused(self) -> None:
        self._carry_out(self.core.register_refused(self._clock.now()))

    def proof_refused(self) -> None:
        self._carry_out(self.core.proof_refused(self._clock.now()))

    def sms_received(self, content: str | bytes, port: int) -> bool:
        """Whether that was the one-time password that is waited for: a secret."""
        was_password = self.core.awaits(content, port)
        self._carry_out(self.core.sms_received(content, port, self._clock.now()))
        return was_password

    def code_typed(self, text: str) -> None:
        """The user types in what came to another device; without effect unless a one-time password is waited for."""
        if self.core.awaits(text, 0):
            self._carry_out(self.core.sms_received(text, 0, self._clock.now()))

    def msisdn_given(self, msisdn: str) -> None:
        self._carry_out(self.core.msisdn_given(msisdn, self._clock.now()))

    def access_changed(self, access: Access) -> None:
        """Counts for the next request."""
        self.core.access = access

    def close(self) -> None:
        """The phone is switched off: no timer and no request stays behind. The core's snapshot can boot again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._request is not None:
            self._request.cancel()
            self._request = None

    def _carry_out(self, outputs: Iterable[ProvisioningOutput]) -> None:
        for output in outputs:
            if isinstance(output, SendHttpRequest):
                if self._request is not None:
                    self._request.cancel()  # its answer would not count any more
                name = f"autoconfiguration of {self._name}"
                self._request = self._tasks.create_task(self._ask(output), name=name)
            else:
                self._deliver(output)
        self._arm()

    async def _ask(self, request: SendHttpRequest) -> None:
        try:
            response = await self._http.request(request.url, headers=request.headers, timeout_s=request.timeout_s)
        except (TransportError, RemoteProtocolError) as error:
            _log.info("%s: autoconfiguration server: %s", self._name, error)
            self._request = None
            self._carry_out(self.core.failed(request.number, self._clock.now()))
            return
        self._request = None
        self._carry_out(self.core.received(request.number, response, self._clock.now()))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.next_deadline()
        if deadline is not None:
            delay_s = max(0.0, deadline - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def _fire(self) -> None:
        """What was set goes off when it was set for, though the phone's clock has been put back since."""
        self._timer = None
        deadline = self.core.next_deadline()
        now = self._clock.now()
        self._carry_out(self.core.handle_deadline(now if deadline is None else max(now, deadline)))

"""Keeps a phone registered: runs the `Registration` machine on its user agent, with keep-alives and reg events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ims_core.errors import TransportError
from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import Outcome
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.binding import Binding
from rcs_sim.client.display import Display
from rcs_sim.client.keep_alive import FlowCheck, KeepAliveTimer
from rcs_sim.client.reg_event import RegistrationEvents
from rcs_sim.client.registration import (
    ConfigurationStale,
    Ended,
    Registered,
    Registration,
    RegistrationOutput,
    RegistrationState,
    SendRegister,
    Unregistered,
)
from rcs_sim.client.user_agent import UserAgent

__all__ = ["RegistrationListener", "RegistrationService"]

DEREGISTER_WITHIN_S = 5.0  # a phone that is switched off does not wait longer for the 200


class RegistrationListener:
    """Who has to know. Callables rather than a class to inherit: the phone fills them in."""

    __slots__ = ("configuration_stale", "registered", "unregistered")

    def __init__(
        self,
        registered: Callable[[bool], None],
        unregistered: Callable[[str], None],
        configuration_stale: Callable[[], None],
    ) -> None:
        self.registered = registered
        self.unregistered = unregistered
        self.configuration_stale = configuration_stale


class RegistrationService:
    """Observer of the user agent's flows and owner of its registration."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_display",
        "_ended",
        "_events",
        "_flow",
        "_keep_alive",
        "_keep_alive_alarm",
        "_last",
        "_listener",
        "_ua",
        "_verdict",
        "machine",
    )

    def __init__(
        self,
        machine: Registration,
        ua: UserAgent,
        alarms: Alarms,
        display: Display,
        listener: RegistrationListener,
    ) -> None:
        self.machine = machine
        self._ua = ua
        self._alarms = alarms
        self._display = display
        self._listener = listener
        self._alarm = alarms.new(self._rang)
        self._keep_alive: KeepAliveTimer | None = None
        self._keep_alive_alarm = alarms.new(self._keep_alive_rang)
        self._flow: Flow | None = None
        self._last = 0  # number of the newest REGISTER: only its outcome counts
        self._verdict: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._events: RegistrationEvents | None = None
        ua.observer = self
        ua.security = machine.security_headers
        if ua.policy.registration.subscribes_to_own_state:
            self._events = RegistrationEvents(
                ua, alarms, display, self._notified, notify_wait_s=ua.stack.timers.timeout_s
            )
            ua.handlers["NOTIFY"] = self._events.notify_received

    @property
    def binding(self) -> Binding | None:
        return self.machine.binding

    @property
    def is_trying(self) -> bool:
        """Whether a REGISTER is out that may make a binding."""
        return self.machine.state in (RegistrationState.REGISTERING, RegistrationState.ANSWERING)

    def start(self) -> None:
        """Initial registration, now."""
        self._carry_out(lambda now: self.machine.start(self._prepare(), self._ua.features, now))

    async def first_verdict(self, within_s: float) -> None:
        """Waits until the registration stands or has failed for the first time."""
        if self.machine.binding is not None or not self.is_trying:
            return
        self._verdict = asyncio.get_running_loop().create_future()
        await _wait(self._verdict, within_s)

    async def stop(self) -> None:
        """De-registers; waits for the 200 as long as the device does."""
        self._ended = asyncio.get_running_loop().create_future()
        if self.is_trying or self.machine.state is RegistrationState.REFRESHING:
            await self.first_verdict(DEREGISTER_WITHIN_S)
        self._carry_out(self.machine.stop)
        if self.machine.state is RegistrationState.DEREGISTERING and self._ua.policy.registration.awaits_deregistration:
            await _wait(self._ended, DEREGISTER_WITHIN_S)
        self._silence()

    def lost(self) -> None:
        """Power or radio is gone."""
        self.machine.lost()
        self._silence()

    def register_anew(self) -> None:
        """New flow and initial registration, because requests over the old ones failed (digest §8.6)."""
        if self.machine.state is RegistrationState.REGISTERED:
            flow, self._flow = self._flow, None
            if flow is not None and flow.is_open and flow.local.transport.is_reliable:
                self._ua.stack.close_flow(flow, "no answer over this flow")
            self._move()
            self._carry_out(self.machine.flow_lost)
        elif not self.is_trying:
            self.start()

    def announce(self) -> None:
        """The tags of the user agent have changed."""
        self._carry_out(lambda now: self.machine.announce(self._ua.features, now))

    def _silence(self) -> None:
        self._alarm.set(None)
        self._keep_alive = None
        self._keep_alive_alarm.set(None)
        if self._events is not None:
            self._events.stop()

    def _prepare(self) -> str:
        return self._ua.prepare_contact()

    def _move(self) -> None:
        """The binding that is made next is one over a new flow."""
        if self.machine.state is RegistrationState.REGISTERED:
            self.machine.move(self._prepare())

    def _carry_out(self, step: Callable[[float], list[RegistrationOutput]]) -> None:
        before = self.machine.state
        self._perform(step(self._alarms.now()))
        self._alarm.set(self.machine.next_deadline())
        if self.machine.state is not before:
            self._display.state("registration", self.machine.state.value)

    def _perform(self, outputs: Iterable[RegistrationOutput]) -> None:
        for output in outputs:
            match output:
                case SendRegister():
                    self._send(output)
                case Registered():
                    self._registered(output)
                case Unregistered():
                    self._unregistered(output)
                case ConfigurationStale():
                    self._listener.configuration_stale()
                case Ended():
                    _settle(self._ended)

    def _send(self, output: SendRegister) -> None:
        self._last += 1
        number = self._last

        def settle(outcome: Outcome, sent: Request) -> None:
            if number == self._last:
                answer = outcome if isinstance(outcome, Response) else None
                self._carry_out(lambda now: self.machine.receive(answer, now))

        self._flow = self._ua.send(output.request, settle, target=output.target, authenticates=False)

    def _registered(self, output: Registered) -> None:
        self._ua.granted(output.binding)
        now = self._alarms.now()
        self._display.state("registration", "granted", seconds=output.binding.granted_s, is_refresh=not output.is_new)
        if output.is_new:
            self._keep_flow_alive(output.binding, now)
            if self._events is not None:
                self._events.subscribe(now)
        self._listener.registered(output.is_new)
        _settle(self._verdict)
        if self.machine.is_untold(self._ua.features):
            asyncio.get_running_loop().call_soon(self.announce)

    def _unregistered(self, output: Unregistered) -> None:
        retry = None if output.retry_at is None else round(output.retry_at - self._alarms.now(), 3)
        self._display.state("registration", "lost", reason=output.reason, retry_in_s=retry)
        self._keep_alive = None
        self._keep_alive_alarm.set(None)
        if self._events is not None:
            self._events.stop()
        self._listener.unregistered(output.reason)
        if not self.is_trying:
            _settle(self._verdict)

    def _keep_flow_alive(self, binding: Binding, now: float) -> None:
        self._keep_alive = None
        if binding.keep_s is not None and self._ua.policy.registration.offers_keep_alive:
            self._keep_alive = KeepAliveTimer(binding.keep_s, self._ua.tokens.uniform, now)
            self._keep_alive_alarm.set(self._keep_alive.next_deadline())

    def _keep_alive_rang(self, now: float) -> None:
        timer, flow = self._keep_alive, self._flow
        if timer is None or flow is None:
            return
        match timer.handle_deadline(now):
            case FlowCheck.PING:
                self._ua.stack.send_keep_alive(flow)
                self._keep_alive_alarm.set(timer.next_deadline())
            case FlowCheck.FAILED:
                self._keep_alive = None
                self._ua.stack.close_flow(flow, "no pong within 10 s (RFC 5626 §4.4.1)")
            case None:
                self._keep_alive_alarm.set(timer.next_deadline())

    def _rang(self, now: float) -> None:
        if self.machine.state is RegistrationState.WAITING:
            self.start()
        else:
            self._carry_out(self.machine.handle_deadline)

    def _notified(self, event: str, retry_after_s: float | None) -> None:
        self._display.state("registration", "notified", reason=event)
        self._carry_out(lambda now: self.machine.notified(event, now, retry_after_s))

    # --- FlowObserver ------------------------------------------------------------------------------------------------

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        if flow is self._flow:
            self._flow = None
            self._move()
            self._carry_out(self.machine.flow_lost)

    def pong_received(self, flow: Flow) -> None:
        if self._keep_alive is not None and flow is self._flow:
            self._keep_alive.pong(self._alarms.now())
            self._keep_alive_alarm.set(self._keep_alive.next_deadline())


def _settle(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _wait(waiter: asyncio.Future[None], within_s: float) -> None:
    """Until *waiter* is settled, at most *within_s*."""
    await asyncio.wait((waiter,), timeout=within_s)

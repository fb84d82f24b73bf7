"""The driver of autoconfiguration on the virtual clock."""

from __future__ import annotations

import asyncio

from ims_core.errors import TransportError
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HeaderFields, HttpResponse
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import clock_of_running_loop, run
from rcs_sim.client.provisioning import Provisioning
from rcs_sim.client.provisioning_driver import ProvisioningDriver
from rcs_sim.client.provisioning_values import (
    Access,
    Postponed,
    PostponedReason,
    ProvisioningOutput,
    ProvisioningSettings,
    Save,
    ServiceState,
    StartService,
    StopReason,
    StopService,
)
from rcs_sim.wire.autoconfig import DocumentVersion, ProvisioningDocument
from tests.support.acs import ALICE, ALICE_SIM, CONFIG_URL

_HEAD = DocumentVersion(1, 600).characteristic()
_FULL = HttpResponse(200, (), ProvisioningDocument((_HEAD, *ALICE.configuration.characteristics())).encode())
_SAME = HttpResponse(200, (), ProvisioningDocument((_HEAD,)).encode())


class _ScriptedServer:
    """An HttpClient whose answers are written down; None is no answer in time, ... one that never comes."""

    def __init__(self, *answers: HttpResponse | None) -> None:
        self.answers = list(answers)
        self.asked_at: list[float] = []
        self.clock: Clock = clock_of_running_loop()

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        self.asked_at.append(self.clock.now())
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.sleep(timeout_s)
            raise TransportError("no answer")
        await asyncio.sleep(0.1)
        return answer


def _driver(
    server: _ScriptedServer, tasks: asyncio.TaskGroup, shown: list[ProvisioningOutput], access: Access = Access.WIFI
) -> ProvisioningDriver:
    core = Provisioning(ProvisioningSettings(configuration_url=CONFIG_URL), ALICE_SIM, Tokens("t"), access=access)
    return ProvisioningDriver(
        core,
        server,
        clock_of_running_loop(),
        tasks,
        lambda output: None if isinstance(output, Save) else shown.append(output),
    )


def test_a_phone_is_configured_after_a_failure_and_asks_again_when_validity_ends() -> None:
    async def story() -> None:
        server, shown = _ScriptedServer(None, _FULL, _SAME), list[ProvisioningOutput]()
        start = server.clock.now()
        async with asyncio.TaskGroup() as tasks:
            driver = _driver(server, tasks, shown)
            driver.boot()
            await asyncio.sleep(1000)
            assert driver.core.state is ServiceState.ACTIVE
            driver.close()
        assert [round(at - start, 3) for at in server.asked_at] == [0.0, 330.0, 930.1]
        postponed, started, _kept = shown
        assert isinstance(postponed, Postponed)
        assert postponed.reason is PostponedReason.UNAVAILABLE
        assert started == StartService(ALICE.configuration)

    run(story, clock="virtual")


def test_a_phone_that_is_switched_off_leaves_neither_timer_nor_request() -> None:
    async def story() -> None:
        server, shown = _ScriptedServer(None), list[ProvisioningOutput]()
        async with asyncio.TaskGroup() as tasks:
            driver = _driver(server, tasks, shown)
            driver.boot()
            await asyncio.sleep(1)
            driver.close()
        await asyncio.sleep(10_000)
        assert shown == []

    run(story, clock="virtual")


def test_events_reach_the_core() -> None:
    async def story() -> None:
        server, shown = (
            _ScriptedServer(HttpResponse(200), _FULL, _SAME, _SAME, _SAME, _SAME),
            list[ProvisioningOutput](),
        )
        async with asyncio.TaskGroup() as tasks:
            driver = _driver(server, tasks, shown)
            driver.boot()
            await asyncio.sleep(1)
            driver.sms_received("code 123456", 0)
            await asyncio.sleep(1)
            driver.msisdn_given("+1")
            driver.switch_off()
            driver.switch_on()
            driver.register_refused()
            await asyncio.sleep(1)
            driver.sim_changed(ALICE_SIM)
            driver.access_changed(Access.CELLULAR)
            driver.factory_reset()
            driver.close()
        assert len(server.asked_at) == 3
        start = StartService(ALICE.configuration)
        assert [output for output in shown if isinstance(output, StartService | StopService)] == [
            start,
            StopService(StopReason.SWITCHED_OFF),
            start,
            start,
            StopService(StopReason.SIM_CHANGED),
        ]

    run(story, clock="virtual")

"""A network that is killed and started again while phones, and clients that count their answers, send through it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from ims_core.wire.sip.message import Request, Response
from tests.support.lineage_script import LineageLab, LineageScript, lineage_script, read_cpim, read_cpim_octets
from tests.support.lineage_session import LineageSession
from tests.support.peers import Program, network_file
from tests.support.raw_msrp import RawMsrp

__all__ = ["KilledNetwork", "RawReceiver", "RawSender", "killed_network"]

_WINDOW = 5  # messages under way at the same time
_AGAIN_S = 0.05
_SILENCE_S = 3.0  # longer than anything takes here while the network is up
_PROFILE = "quick"
_LOST = (OSError, EOFError, TimeoutError)


class KilledNetwork:
    """`rcs-sim up` with its state on disk and addresses that stay."""

    def __init__(self, folder: Path, **bulk: Any) -> None:
        self.folder = folder
        self.network = network_file(folder, profile=f"{_PROFILE}.yaml", **bulk)
        # A lost registration is soon tried again, and messages wait for it.
        lines = (f"name: {_PROFILE}", "retry_base_s: 1", "retry_max_s: 2", "reconnect_guard_s: 60")
        (folder / f"{_PROFILE}.yaml").write_text("\n".join(lines), encoding="utf-8")
        self.document: dict[str, Any] = {}
        self.kills = 0
        self.is_up = asyncio.Event()
        self._running: Program | None = None
        self._printed = ""

    async def start(self) -> None:
        arguments = ("--json", "--state", str(self.folder / "state"), "--network", str(self.network))
        process = await asyncio.to_thread(_begin, (sys.executable, "-m", "rcs_sim", "up", *arguments), self.folder)
        self._running = process
        self.document = json.loads(await asyncio.to_thread(process.expect_line, '{"ready"'))
        self.is_up.set()

    def kill(self) -> None:
        """At once: nobody in it can do anything any more."""
        assert self._running is not None
        self.is_up.clear()
        self.kills += 1
        self._end(signal.SIGKILL)

    async def restart(self) -> None:
        self.kill()
        await self.start()

    def stop(self) -> str:
        """Everything that it has printed since the first start."""
        if self._running is not None:
            self._end(signal.SIGTERM)
        return self._printed

    def _end(self, how: signal.Signals) -> None:
        running, self._running = self._running, None
        assert running is not None
        running.stop(how)
        self._printed += running.rest()
        for pipe in (running.process.stdin, running.process.stdout):
            if pipe is not None:
                pipe.close()


def _begin(arguments: Iterable[str], folder: Path) -> Program:
    pipe = subprocess.PIPE
    return Program(subprocess.Popen(list(arguments), cwd=folder, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT))


@asynccontextmanager
async def killed_network(folder: Path, **bulk: Any) -> AsyncIterator[KilledNetwork]:
    """Started, and stopped at the end: what it printed must show no failure."""
    network = KilledNetwork(folder, **bulk)
    await network.start()
    try:
        yield network
    finally:
        printed = network.stop()
        assert "Traceback" not in printed, printed[printed.index("Traceback") :][:4000]


class RawSender:
    """Sends numbered texts until each has an answer of 2xx, and counts. It writes its own octets and repairs nothing:
    without an answer the same Message-ID goes out again in a new registration."""

    def __init__(
        self,
        network: KilledNetwork,
        lab: LineageLab,
        texts: Iterable[str],
        *,
        by_session: bool,
        acknowledged: Callable[[], None],
    ) -> None:
        self._network, self._lab, self._by_session = network, lab, by_session
        self._acknowledged = acknowledged
        self.waiting = dict.fromkeys(texts, 0)  # how often each was sent
        self.acknowledged: dict[str, int] = {}  # the same of those that have an answer

    async def run(self) -> None:
        while self.waiting:
            await self._network.is_up.wait()
            with suppress(*_LOST):
                async with lineage_script(self._lab) as script:
                    await (self._in_session(script) if self._by_session else self._in_pager(script))
            await asyncio.sleep(_AGAIN_S)

    async def _in_pager(self, script: LineageScript) -> None:
        under_way: dict[str, str] = {}
        while self.waiting:
            for message_id in self._next(under_way.values()):
                under_way[script.text(f"tel:{self._lab.theirs}", message_id, message_id)] = message_id
            answer = await script.raw.next(_SILENCE_S)
            if isinstance(answer, Request):
                script.raw.answer(answer)
            elif answer.status >= 200 and answer.call_id in under_way:
                self._answered(under_way.pop(answer.call_id), is_taken=answer.status < 300)

    async def _in_session(self, script: LineageScript) -> None:
        session = LineageSession(script)
        session.write_invite(f"tel:{self._lab.theirs}")
        while not isinstance(answer := await script.raw.next(_SILENCE_S), Response) or answer.status < 200:
            pass
        if answer.status >= 300:
            return
        await session.answered(answer)
        under_way: dict[str, str] = {}
        while self.waiting:
            for message_id in self._next(under_way.values()):
                under_way[session.write_text(message_id, message_id)] = message_id
            frame = await session.msrp.frame(_SILENCE_S)
            if not frame.status:
                session.msrp.take(frame)
                continue
            self._answered(under_way.pop(frame.transaction_id), is_taken=frame.status == 200)
            if frame.status in (408, 481):
                return

    def _next(self, under_way: Iterable[str]) -> list[str]:
        taken = set(under_way)
        found = [message_id for message_id in self.waiting if message_id not in taken][: _WINDOW - len(taken)]
        for message_id in found:
            self.waiting[message_id] += 1
        return found

    def _answered(self, message_id: str, *, is_taken: bool) -> None:
        if is_taken and message_id in self.waiting:
            self.acknowledged[message_id] = self.waiting.pop(message_id)
            self._acknowledged()


class RawReceiver:
    """Takes what comes, by MESSAGE and in sessions, and notes the Message-ID of all that it answers with 200."""

    def __init__(self, network: KilledNetwork, lab: LineageLab) -> None:
        self._network, self._lab = network, lab
        self.arrived: list[str] = []
        self.came = asyncio.Event()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Looks again whenever something came."""
        while not is_so():
            self.came.clear()
            await self.came.wait()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._network.is_up.wait()
            with suppress(*_LOST):
                async with lineage_script(self._lab) as script:
                    await self._serve(script)
            await asyncio.sleep(_AGAIN_S)

    async def _serve(self, script: LineageScript) -> None:
        async with asyncio.TaskGroup() as sessions:
            try:
                while True:
                    request = await script.raw.next(600)
                    if not isinstance(request, Request):
                        continue
                    if request.method == "INVITE":
                        session = LineageSession(script)
                        await session.answer(request, awaits_ack=False)
                        sessions.create_task(self._read(session.msrp), name="session")
                    elif request.method == "MESSAGE":
                        self._note(read_cpim(request)[0])
                        script.raw.answer(request)
                    elif request.method != "ACK":
                        script.raw.answer(request)
            except _LOST:
                for close in script.closes_with:
                    close()

    async def _read(self, msrp: RawMsrp) -> None:
        with suppress(*_LOST):
            while True:
                frame = await msrp.frame(600)
                if frame.what == "SEND" and frame.body is not None and frame.text("Content-Type") == "message/cpim":
                    self._note(read_cpim_octets(frame.body)[0])
                msrp.take(frame)

    def _note(self, cpim: dict[str, str]) -> None:
        if "imdn.Disposition-Notification" in cpim:
            self.arrived.append(cpim["imdn.Message-ID"])
            self.came.set()

"""Plays one story with one seed and judges it."""

from __future__ import annotations

import asyncio
import hashlib
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ims_core.errors import SimulatorError
from ims_core.trace import RecordKind, TraceRecord
from ims_core.transport.virtual_loop import run
from rcs_sim.mls.key_log import KEY_LOG_HEADER
from rcs_sim.scenario.ladder import ladder_text, lanes_of
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.story.actions import perform
from rcs_sim.scenario.story.checks import MessageCheck, history_line, times_shown
from rcs_sim.scenario.story.evidence import Evidence, Finding
from rcs_sim.scenario.story.fallback_policies import carrier_changes
from rcs_sim.scenario.story.faults import StoryFaults
from rcs_sim.scenario.story.mishaps import MishapLog
from rcs_sim.scenario.story.reading import Story
from rcs_sim.scenario.story.run_document import FailureDocument, FindingDocument, MessageDocument, RunRow
from rcs_sim.scenario.story.scene_checks import check_scene
from rcs_sim.scenario.story.stage import ELEMENT, Said, Stage, StoryTrace
from rcs_sim.scenario.story.step_model import Step
from rcs_sim.scenario.story.verdict import ScenarioFailed, Verdict
from rcs_sim.scenario.wireshark import KEY_LOG_SUFFIX, write_private
from rcs_sim.scenario.world import Ports

__all__ = ["Played", "network_of", "play_story"]

_LONGEST_REAL_AGE_S = 3600.0
_LADDER_RECORDS = 16  # of the tail that a failure shows
_SHOWN_CHARACTERS = 200  # of a text, in a report
_MAX_DETAIL_CHARACTERS = 2000
_SMS_LABEL = "SMS"


@dataclass(frozen=True, slots=True)
class Played:
    """The report of a run, its trace, and the lines of a key log if there was to be one."""

    row: RunRow
    records: list[TraceRecord]
    keys: list[str] | None = field(default=None, repr=False)

    def write_trace(self, path: Path) -> None:
        """With the key log beside it. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.keys is not None:
            write_private(path.with_suffix(KEY_LOG_SUFFIX), "\n".join([KEY_LOG_HEADER, *self.keys]))
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(record.to_json() + "\n" for record in self.records)


def _use_any_port(story: Story) -> bool:
    """Whether the phones of *story* dial the port that their configuration names."""
    devices = {entry.device for entry in story.file.phones.values()}
    return all(load_device(device).registration.uses_document_port for device in devices)


def network_of(story: Story) -> NetworkFile:
    """The network of *story* under its policies."""
    policy = story.file.policy
    common = carrier_changes(policy.network_fallback, policy.carrier)
    carriers = {
        name: entry.model_copy(update={"changes": {**entry.changes, **common, **policy.carriers.get(name, {})}})
        for name, entry in story.network.carriers.items()
    }
    return story.network.model_copy(update={"carriers": carriers})


def play_story(
    story: Story, seed: int, *, is_real: bool = False, until: str | None = None, with_keys: bool = False
) -> Played:
    """Plays *story* on a loop of its own, up to and with step *until* if that is given. *with_keys* keeps what opens
    its sealed messages. Raises nothing: what goes wrong is the report's verdict."""
    is_real = is_real or story.file.clock == "real"
    started = time.perf_counter()
    player = _Player(story, seed, is_real=is_real, until=until, with_keys=with_keys)
    with MishapLog() as log:
        try:
            run(player.play, clock="real" if is_real else "virtual")
        except Exception as error:  # the edge: one broken run must not end the others
            player.broke(error)
    if log.mishaps:
        player.broke(ScenarioFailed("rcs-sim itself", "no exception in a timer or a task", "; ".join(log.mishaps)))
    return player.result(time.perf_counter() - started)


class _Player:
    """One run."""

    def __init__(self, story: Story, seed: int, *, is_real: bool, until: str | None, with_keys: bool) -> None:
        self._story, self._seed, self._is_real = story, seed, is_real
        self._keys: list[str] | None = [] if with_keys else None
        self._until_name = until
        self._sink = StoryTrace()
        self._step: int | None = None
        self._done = 0
        self._verdict = Verdict.PASS
        self._failure: FailureDocument | None = None
        self._violations: list[Finding] = []
        self._messages: list[MessageDocument] = []
        self._simulated_s = 0.0
        self._fork_records: int | None = None

    # --- the course of a run -----------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Raises what could not be judged."""
        story = self._story
        last = len(story.file.steps) if self._until_name is None else story.step_index(self._until_name) + 1
        key_log = None if self._keys is None else self._keys.append
        network = network_of(story)
        ports: Ports = "free" if _use_any_port(story) else "standard"
        sim = Simulation(network, self._seed, is_real=self._is_real, ports=ports, sinks=[self._sink], key_log=key_log)
        async with sim:
            started_at = sim.clock.now()
            stage = Stage(sim, self._sink, story)
            evidence = Evidence(sim, stage.said)
            try:
                await self._play_steps(stage, evidence, StoryFaults(sim), last)
            except ScenarioFailed as failed:
                self._note_failure(Verdict.FAIL, failed, stage)
            except Exception as broken:  # the edge: whatever it is, it is this run's verdict
                self._note_failure(Verdict.BROKEN, broken, stage)
            finally:
                self._simulated_s = sim.clock.now() - started_at
                self._messages = [_message(stage, evidence, said) for said in stage.said.values()]

    async def _play_steps(self, stage: Stage, evidence: Evidence, faults: StoryFaults, last: int) -> None:
        try:
            await stage.set_up()
            for index, step in enumerate(self._story.file.steps[:last]):
                self._step = index
                await self._fork(stage, index)
                _mark(stage, index, step)
                await self._play_step(stage, evidence, faults, index, step)
                self._done = index + 1
            self._step = None
        finally:
            await faults.end_all()
        if self._until_name is None:
            await self._settle(stage)
            self._judge(evidence)

    async def _fork(self, stage: Stage, index: int) -> None:
        """What a fork changes besides steps: handsets."""
        story = self._story
        if index != story.fork_at:
            return
        self._fork_records = len(self._sink.records)
        for name, device in story.new_devices:
            await stage.sim.exchange(name, device=load_device(device))

    async def _play_step(self, stage: Stage, evidence: Evidence, faults: StoryFaults, index: int, step: Step) -> None:
        if step.action is not None and step.actor is not None:
            await perform(stage, step.actor, step.action, index)
        for word, scope in (step.fault or {}).items():
            await faults.begin(word, scope)
        for word in step.end_fault or ():
            await faults.end(word)
        if step.age is not None:
            await self._age(step.age.duration_s)
        if step.operator_sms is not None:
            sms = step.operator_sms
            stage.sim.carrier(sms.carrier).send_sms(stage.number(sms.to), sms.text)
        if step.expect is not None:
            for name, expected in step.expect.messages.items():
                await MessageCheck(stage, stage.message(name), evidence).run(expected, step.expect.within_s)
            await check_scene(stage, step.expect)

    async def _age(self, duration_s: float) -> None:
        if self._is_real and duration_s > _LONGEST_REAL_AGE_S:
            raise SimulatorError(f"{duration_s:g} s do not pass on the real clock: leave out --real")
        await asyncio.sleep(duration_s)

    async def _settle(self, stage: Stage) -> None:
        """Until nothing more is expected to happen to any message."""
        messages = [said.message for said in stage.said.values()]
        deadline = stage.clock.now() + self._story.file.settles_within_s
        await stage.until(lambda: all(message.is_final for message in messages), deadline)

    def _judge(self, evidence: Evidence) -> None:
        """What must never be, over the whole run. Raises ScenarioFailed."""
        file = self._story.file
        self._violations = evidence.violations()
        never: dict[str, set[str]] = {}
        for step in file.steps:
            for name, expected in (step.expect.messages if step.expect is not None else {}).items():
                never.setdefault(name, set()).update(expected.never)
        wanted: set[str] = set(file.violations)
        found = evidence.broken_rules(never, set(file.never), wanted)
        if found:
            raise ScenarioFailed("the whole run", f"no {found[0].kind.replace('_', ' ')}", "; ".join(map(str, found)))
        missing = wanted - {each.kind for each in self._violations}
        if missing:
            raise ScenarioFailed("the oracle", f"a finding of {', '.join(sorted(missing))}", "none")

    # --- what went wrong ---------------------------------------------------------------------------------------------

    def broke(self, error: BaseException) -> None:
        """Before or after anything could be played, or beside it."""
        if self._verdict is not Verdict.BROKEN:
            labels = {} if self._failure is None else self._failure.labels
            self._note_failure(Verdict.BROKEN, error, None)
            if labels and self._failure is not None:
                self._failure = self._failure.model_copy(update={"labels": labels})

    def _note_failure(self, verdict: Verdict, error: BaseException, stage: Stage | None) -> None:
        self._verdict = verdict
        index, steps = self._step, self._story.file.steps
        step = None if index is None else steps[index]
        place = str(self._story.path) if index is None else str(self._story.places[index])
        failed = error if isinstance(error, ScenarioFailed) else ScenarioFailed("the step", "to be done", _told(error))
        self._failure = FailureDocument(
            step=None if index is None else index + 1,
            step_id=None if step is None else step.id,
            title=step.title if step is not None else "the end" if self._done else "the start",
            place=place,
            about=failed.about,
            expected=failed.expected,
            seen=failed.seen,
            labels={} if stage is None else _labels(stage),
            ladder=_ladder_tail(self._sink.records),
        )

    def result(self, wall_s: float) -> Played:
        """The report; trace and command are for whoever asked to fill in."""
        story, records = self._story, list(self._sink.records)
        row = RunRow(
            name=story.file.name,
            file=str(story.path),
            variant=story.variant,
            seed=self._seed,
            clock="real" if self._is_real else "virtual",
            spec=story.file.spec,
            verdict=self._verdict.value,
            steps=self._done,
            steps_total=len(story.file.steps),
            until=self._until_name,
            failure=self._failure,
            violations=[_finding(each) for each in self._violations],
            messages=self._messages,
            simulated_s=round(self._simulated_s, 6),
            wall_s=round(wall_s, 3),
            records=len(records),
            trace_hash=_hash(records),
            fork_records=self._fork_records,
        )
        return Played(row, records, self._keys)


def _mark(stage: Stage, index: int, step: Step) -> None:
    """In the trace: here it begins."""
    told = f"step {index + 1}: {step.title}" + (f": {step.note}" if step.note else "")
    stage.mark(told, step=index + 1, **({"id": step.id} if step.id else {}))


def _told(error: BaseException) -> str:
    if isinstance(error, SimulatorError):
        return str(error)
    lines = traceback.format_exception(error)
    return f"a fault of rcs-sim itself: {''.join(lines)[-_MAX_DETAIL_CHARACTERS:]}"


def _finding(each: Finding) -> FindingDocument:
    return FindingDocument(
        kind=each.kind, message=each.message, phone=each.phone, why=each.why, evidence=list(each.evidence)
    )


def _hash(records: list[TraceRecord]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.to_json().encode("utf-8") + b"\n")
    return digest.hexdigest()


def _message(stage: Stage, evidence: Evidence, said: Said) -> MessageDocument:
    message = said.message
    delivered = (change.at for change in message.history if change.state.value in ("delivered", "displayed"))
    at = next(delivered, None)
    is_sms = message.transport.value == _SMS_LABEL
    return MessageDocument.model_validate(
        {
            "name": said.name,
            "from": said.sender,
            "to": said.to,
            "text": message.text[:_SHOWN_CHARACTERS],
            "state": message.state.value,
            "transport": message.transport.value.lower(),
            "mode": None if is_sms else message.delivery.mode.value,
            "scheme": None if message.scheme is None else message.scheme.value,
            "label": message.label,
            "reason": None if message.reason.name == "NONE" else message.reason.value,
            "delivered_after_s": None if at is None else round(at - message.created_at, 6),
            "shown": times_shown(stage, said),
            "readers": evidence.known_readers(said),
            "history": history_line(message),
            "change": None if message.change is None else message.change.kind.value,
        }
    )


def _labels(stage: Stage) -> dict[str, dict[str, str]]:
    names: Mapping[str, str] = {number: name for name, number in stage.sim.numbers.items()}
    return {
        name: {names.get(str(chat.peer), str(chat.peer)): chat.label for chat in phone.chats}
        for name, phone in stage.sim.phones.items()
    }


def _ladder_tail(records: Iterable[TraceRecord]) -> str:
    kept = [record for record in records if record.source != ELEMENT and record.kind is not RecordKind.STATE][
        -_LADDER_RECORDS:
    ]
    return ladder_text(kept, lanes_of(kept))

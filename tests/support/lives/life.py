"""A random life as it is lived: the steps of a plan on a simulation, and what was said and seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ims_core.errors import LocalProtocolError, SimulatorError
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.display import Shown, ShownEvent
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import ReferenceUse
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.server.kds_settings import KdsFault
from tests.support.lives.kinds import KINDS
from tests.support.lives.plan import NUMBERS, LifePlan, carrier_of
from tests.support.lives.servers import LifeSimulation, kill_messaging, restart_carrier, restart_node
from tests.support.lives.verbs import Step

__all__ = ["Bare", "Life", "Said", "network_of", "user_of"]

_MAY_WAIT_S = 300.0  # what could not be opened was asked for by then
_LONG = ", and so on" * 400
_ALONE = ("msrp.relay_down", "ims.pcscf_failover")  # stop and start something: one at a time
_DAY_S = 86_400.0
_PROBES = 3
_ARRIVED = (MessageState.DELIVERED, MessageState.DISPLAYED)


@dataclass(eq=False, slots=True)
class Said:
    """A text that a user wrote on *phone* to another one."""

    message: SentMessage
    who: str
    phone: Phone
    whom: str
    is_odd: bool
    is_excused: bool = False


@dataclass(frozen=True, slots=True)
class Bare:
    """A text of *peer* that *phone* showed without a lock while its conversation had one by *scheme*, after so many
    records."""

    phone: str
    text: str
    peer: str
    scheme: str
    number: int


def user_of(phone: str) -> str:
    return phone.rstrip("0123456789")


def network_of(plan: LifePlan) -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {
        name: entry.model_copy(update={"profile": plan.carriers[name][0], "changes": dict(plan.carriers[name][1])})
        for name, entry in file.carriers.items()
    }
    return file.model_copy(update={"carriers": carriers})


class Life:
    """*bare* are texts that came in clear under a lock that nobody had ended, *writers* the phones that texts were
    written on; *stuck* is what did not work any more after everything had been repaired for a day."""

    def __init__(self, sim: LifeSimulation, sink: ListSink, plan: LifePlan) -> None:
        self.sim, self.sink, self.plan = sim, sink, plan
        self.said: list[Said] = []
        self.changes: list[tuple[Phone, SentMessage]] = []
        self.probes: list[Said] = []
        self.bare: list[Bare] = []
        self.writers: dict[str, Phone] = {}
        self.stuck: list[str] = []
        self.seen: dict[tuple[str, int], Counter[str]] = {}
        self.without_recalls: set[str] = set()
        self._cut: set[str] = set()
        self._down: set[str] = set()
        self._gone: set[str] = set()
        self._ended: set[frozenset[str]] = set()
        self._resets: Counter[str] = Counter()
        self._written = 0
        self._some_without_arbiter = any(each.profile.mls.is_peer_to_peer for each in sim.lab.carriers.values())

    async def play(self) -> None:
        for name, device in self.plan.devices.items():
            await self._add(name, device)
        for step in self.plan.steps:
            await self._do(step)
            await asyncio.sleep(step.pause_s)
        await self._repair()
        await self._probe()

    async def _add(self, name: str, device: str) -> None:
        user = user_of(name)
        phone = await self.sim.add_phone(name, device, carrier_of(user), msisdn=NUMBERS[user], is_on=False)
        self._follow(name, phone)
        await phone.power_on()

    def _follow(self, name: str, phone: Phone) -> None:
        if phone.config.policy.references.recalls is ReferenceUse.NEVER:
            self.without_recalls.add(user_of(name))
        phone.display.watchers.append(partial(self._watch, name))

    def _watch(self, name: str, event: ShownEvent) -> None:
        message = event.message
        if event.what is not Shown.MESSAGE or not isinstance(message, ReceivedMessage):
            return
        self.seen.setdefault((name, self._resets[name]), Counter())[message.text or ""] += 1
        is_locked = message.scheme is None and message.conversation.is_encrypted
        is_locked &= message.transport is MessageTransport.RCS
        if is_locked and frozenset((NUMBERS[user_of(name)], str(message.conversation.peer))) not in self._ended:
            scheme = self.sim.phones[name].chat(str(message.conversation.peer)).scheme
            self.bare.append(
                Bare(name, message.text or "", str(message.conversation.peer), scheme or "", len(self.sink.records))
            )

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _do(self, step: Step) -> None:
        verb, phones = step.verb, self.sim.phones
        if verb in _ACTS:
            await _ACTS[verb](self, step)
            return
        phone = phones.get(step.who)
        if phone is None or step.who in self._gone:
            return
        if step.whom:
            if phone.is_on:
                await self._in_chat(verb, phone, step)
        else:
            await self._with_phone(verb, phone, step)

    async def _in_chat(self, verb: str, phone: Phone, step: Step) -> None:
        chat, number = phone.chat(NUMBERS[step.whom]), dict(step.scope).get("number", 0)
        match verb:
            case "send":
                self._say(phone, step, "")
            case "send long":
                self._say(phone, step, _LONG)
            case "send odd":
                self._note(chat.send(step.word), phone, step.who, step.whom, is_odd=True)
            case "send twice":
                text = self._text(step)
                for _ in range(2):
                    self._note(chat.send(text), phone, step.who, step.whom)
            case "cross":
                self._say(phone, step, "")
                other = self.sim.phones.get(step.whom)
                if other is not None and other.is_on and step.whom not in self._gone:
                    back = Step("send", step.whom, user_of(step.who))
                    self._say(other, back, "")
            case "end session":
                chat.end_session()
            case "end encryption":
                self._end_encryption(phone, step.who, step.whom)
            case "revive":
                chat.revive_encryption()
            case "look at code":
                _ = chat.security_code, chat.label, chat.scheme
            case "rekey":
                self._rekey(phone, step)
            case _:
                self._change(chat, phone, step, int(str(number)))

    def _rekey(self, phone: Phone, step: Step) -> None:
        mls = None if phone.encryption is None else phone.encryption.mls
        if mls is None:
            return
        thread = mls._context.thread(phone.chat(NUMBERS[step.whom])._conversation)
        if thread is None or thread.engine.group is None:
            return
        with suppress(SimulatorError):
            mls._requests.submit(
                thread, lambda engine, given, now_s: engine.control.rekey(given, now_s), lambda _: None
            )

    def _change(self, chat: Any, phone: Phone, step: Step, number: int) -> None:
        shown = [each for each in chat.messages if each.text]
        if not shown:
            return
        target = shown[-1 - number % len(shown)]
        with suppress(LocalProtocolError):
            match step.verb:
                case "reply":
                    text = self._text(step)
                    self._note(chat.reply(target, text), phone, step.who, step.whom)
                case "react":
                    self.changes.append((phone, chat.react(target, step.word)))
                case "unreact":
                    self.changes.append((phone, chat.unreact(target)))
                case "edit":
                    self.changes.append((phone, chat.edit(target, self._text(step))))
                case "recall":
                    self.changes.append((phone, chat.recall(target)))

    def _text(self, step: Step) -> str:
        self._written += 1
        return f"#{self._written} from {step.who} to {step.whom}"

    def _say(self, phone: Phone, step: Step, more: str) -> Said:
        text = self._text(step) + more
        return self._note(phone.chat(NUMBERS[step.whom]).send(text), phone, step.who, step.whom)

    def _note(self, message: SentMessage, phone: Phone, who: str, whom: str, *, is_odd: bool = False) -> Said:
        said = Said(message, who, phone, whom, is_odd)
        self.writers[message.text] = phone
        self.said.append(said)
        return said

    async def _with_phone(self, verb: str, phone: Phone, step: Step) -> None:
        match verb:
            case "off":
                await phone.power_off()
            case "on":
                await phone.power_on()
            case "lose power":
                await phone.lose_power()
            case "airplane on":
                await phone.airplane(True)
            case "airplane off":
                await phone.airplane(False)
            case "wipe":
                await self._reset(step.who, phone.wipe)
            case "reinstall":
                await self._reset(step.who, phone.wipe)
                await phone.power_on()
            case "give away":
                await self._give_away(step.who, phone)
            case "skew":
                phone.clock_skew_s = float(step.word)
            case "revoke":
                await self._revoke(phone)
            case "consent" | "send again":
                for said in [each for each in self.said if each.phone is phone]:
                    said.message.send_as_sms() if verb == "consent" else said.message.send_again()

    async def _reset(self, who: str, act: Callable[[], Awaitable[object]]) -> None:
        """What the phone has got and could not open yet is gone with it, and nobody can tell its sender; nor can who
        wrote on it be told anything any more."""
        phone = self.sim.phones[who]
        self._resets[who] += 1
        since = self.sim.clock.now() - _MAY_WAIT_S
        for said in self.said:
            if said.whom == user_of(who) and said.message.history[-1].at >= since:
                is_there = said.message.state is MessageState.SENDING and self._has_come(said.message, who)
                said.is_excused |= said.message.state is MessageState.SENT or is_there
        await act()
        self.said = [each for each in self.said if each.phone is not phone]
        self.changes = [each for each in self.changes if each[0] is not phone]

    def _has_come(self, message: SentMessage, phone: str) -> bool:
        """Whether its octets have reached *phone*, though its sender has no answer yet."""
        wire_id = message.wire_id.encode()
        came = (each.raw for each in self.sink.records if each.kind is RecordKind.MESSAGE and each.target == phone)
        return any(wire_id in raw for raw in came)

    async def _give_away(self, who: str, phone: Phone) -> None:
        if who == user_of(who):
            await phone.power_off()
            return
        await self._reset(who, phone.wipe)
        self._gone.add(who)

    async def _revoke(self, phone: Phone) -> None:
        mls = None if phone.encryption is None else phone.encryption.mls
        setting = None if mls is None else mls.credentials.setting
        if setting is None:
            return
        serial = read_certificate(setting.identity.chain[0]).serial
        for carrier in self.sim.lab.carriers.values():
            if carrier.key_service is not None:
                before = carrier.key_service.server.anchors.revoked_serials
                await carrier.key_service.listener.revoke((*before, serial))

    async def _swap(self, step: Step) -> None:
        if step.who not in self.sim.phones or step.who in self._gone:
            return

        async def exchange() -> None:
            old = await self.sim.take_sim(step.who)  # as `exchange` does, but watched from the beginning
            old.display.state("phone", "exchanged")
            await self._add(step.who, step.word)
            self.sim.hand_over_devices(step.who)

        await self._reset(step.who, exchange)

    async def _new_owner(self, step: Step) -> None:
        """The number gets a new owner with a phone of his own; the operator forgets the old one's keys."""
        user, phones = step.who, self.sim.phones
        if user not in phones:
            return
        for name in [each for each in phones if user_of(each) == user and each != user]:
            if name not in self._gone:
                await self._reset(name, phones[name].wipe)
                self._gone.add(name)
        await phones[user].power_off()
        service = self.sim.lab.carriers[carrier_of(user)].key_service
        assert service is not None
        await service.listener.forget(NUMBERS[user][1:])
        await self._swap(step)

    async def _add_device(self, step: Step) -> None:
        user = step.who
        if user not in self.sim.phones:
            return
        own = [each for each in self.sim.phones if user_of(each) == user and each not in self._gone]
        others = {user_of(each) for each in self.sim.phones if each != user_of(each) and each not in self._gone}
        is_narrow = self._some_without_arbiter and not KINDS[self.plan.kind].profiles
        if len(own) >= (2 if is_narrow else 3) or (is_narrow and others - {user}):
            return
        free = next(f"{user}{n}" for n in range(2, 99) if f"{user}{n}" not in self.sim.phones)
        await self._add(free, step.word)

    async def _everybody(self, step: Step) -> None:
        for name, phone in tuple(self.sim.phones.items()):
            if name not in self._gone:
                await (phone.power_off() if step.verb == "everybody off" else phone.power_on())

    async def _cut_or_restore(self, step: Step) -> None:
        who = step.who
        if "." not in who and who not in self.sim.phones:
            return
        if step.verb == "cut":
            self._cut.add(who)
            await self.sim.cut(who)
        else:
            self._cut.discard(who)
            await self.sim.restore(who)

    async def _key_service(self, step: Step) -> None:
        service = self.sim.lab.carriers[step.who].key_service
        assert service is not None
        service.server.fault = KdsFault(is_down=step.word == "down", empty_pool=step.word == "gone")

    async def _fault(self, step: Step) -> None:
        scope: dict[str, Any] = dict(step.scope)
        phone = scope.get("of")
        if any(isinstance(each, str) and "." not in each and each not in self.sim.phones and key in ("of", "from", "to")
               for key, each in scope.items()):  # fmt: skip
            return
        if phone in self._gone or (step.word in _ALONE and any(each.word in _ALONE for each in self.sim.faults.active)):
            return
        with suppress(SimulatorError):
            await self.sim.begin_fault(step.word, **scope)

    async def _servers(self, step: Step) -> None:
        down_s = float(str(dict(step.scope)["down_s"]))
        for fault in [each for each in self.sim.faults.active if each.word in _ALONE]:
            await fault.end()
        match step.verb:
            case "restart carrier" | "kill carrier":
                await restart_carrier(self.sim, step.who, down_s, is_killed=step.verb == "kill carrier")
            case "kill messaging":
                await kill_messaging(self.sim, step.who, down_s)
            case "restart node":
                await restart_node(self.sim, step.who, down_s)
        for element in self._cut:
            await self.sim.cut(element)

    # --- the end -----------------------------------------------------------------------------------------------------

    async def _repair(self) -> None:
        """Everything is repaired, whoever is asked says yes, and a day goes by."""
        for fault in tuple(self.sim.faults.active):
            await fault.end()
        for element in sorted(self._cut):
            if "." in element or element in self.sim.phones:
                await self.sim.restore(element)
        self._cut.clear()
        for carrier in self.sim.lab.carriers.values():
            assert carrier.key_service is not None
            carrier.key_service.server.fault = KdsFault()
        for name, phone in tuple(self.sim.phones.items()):
            if name not in self._gone:
                phone.clock_skew_s = 0.0
                await phone.power_on()
                await phone.airplane(False)
        for _ in range(4):
            await asyncio.sleep(3 * 3600)
            self._consent()
        for name, phone in tuple(self.sim.phones.items()):
            if name not in self._gone and not phone.is_registered:
                await phone.power_cycle()
        await asyncio.sleep(12 * 3600)

    def _consent(self) -> None:
        for said in self.said:
            said.message.send_as_sms()

    async def _probe(self) -> None:
        """Whoever has talked can talk, in both directions."""
        talked = {(each.who, each.whom) for each in self.said}
        pairs = talked | {(each.whom, user_of(each.who)) for each in self.said}
        for who, whom in sorted(pairs):
            phone = self.sim.phones.get(who)
            if phone is None or who in self._gone or not phone.is_on:
                continue
            await self._probe_one(phone, who, whom)

    async def _probe_one(self, phone: Phone, who: str, whom: str) -> None:
        tries = []
        for _ in range(_PROBES):
            said = await self._probed(phone, who, whom)
            if said.message.state in _ARRIVED:
                return
            tries.append(f"{said.message.state.value} {said.message.reason.value} {said.message.label}")
        if self._is_alone_with_scheme(phone, whom):
            self._end_encryption(phone, who, whom)
            if (await self._probed(phone, who, whom)).message.state in _ARRIVED:
                return
        self.stuck.append(f"{who} to {whom}: {tries}")

    async def _probed(self, phone: Phone, who: str, whom: str) -> Said:
        said = self._say(phone, Step("probe", who, whom), "")
        self.probes.append(said)
        await asyncio.sleep(1800)
        said.message.send_as_sms()
        await asyncio.sleep(1800)
        return said

    def _is_alone_with_scheme(self, phone: Phone, whom: str) -> bool:
        """The older scheme locks, and no handset of the peer has it any more: locked stays locked, and fails for all to
        see, until the user ends it (RCC.16 digest §7.2)."""
        peers = [each.config.policy.e2ee for name, each in self.sim.phones.items() if user_of(name) == whom]
        has_it = any(each is not None and each.legacy_allowed for each in peers)
        return phone.chat(NUMBERS[whom]).scheme == "legacy" and not has_it

    def _end_encryption(self, phone: Phone, who: str, whom: str) -> None:
        self._ended.add(frozenset((NUMBERS[user_of(who)], NUMBERS[whom])))
        phone.chat(NUMBERS[whom]).end_encryption()


_ACTS: dict[str, Callable[[Life, Step], Awaitable[None]]] = {
    "swap": Life._swap,
    "new owner": Life._new_owner,
    "add device": Life._add_device,
    "everybody off": Life._everybody,
    "everybody on": Life._everybody,
    "cut": Life._cut_or_restore,
    "restore": Life._cut_or_restore,
    "key service": Life._key_service,
    "fault": Life._fault,
    "restart carrier": Life._servers,
    "kill carrier": Life._servers,
    "kill messaging": Life._servers,
    "restart node": Life._servers,
}

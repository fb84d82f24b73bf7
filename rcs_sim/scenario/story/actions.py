"""What the users of the phones do: one function for each action of a scenario file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ims_core.errors import SimulatorError
from rcs_sim.client.chat import Chat
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.story.fallback_policies import with_client_policy
from rcs_sim.scenario.story.stage import Stage
from rcs_sim.scenario.story.step_model import (
    Airplane,
    Count,
    Handset,
    NewDevice,
    NewSim,
    NewWords,
    Peer,
    Reaction,
    Reading,
    Resend,
    Send,
    StepAction,
    TakenBack,
    Text,
)

__all__ = ["perform"]


@dataclass(frozen=True, slots=True)
class _Call:
    """One action: who, with what, in which step."""

    stage: Stage
    actor: str
    step: int

    @property
    def phone(self) -> Phone:
        return self.stage.phone(self.actor)

    def chat(self, peer: str) -> Chat:
        return self.stage.chat(self.actor, peer)

    def about(self, name: str) -> tuple[str, Chat, SentMessage | ReceivedMessage | None]:
        """Whom the actor had the message *name* from, or sent it to; the conversation; and it, as the actor has it."""
        said = self.stage.message(name)
        is_own = self.stage.number(said.sender) == self.stage.number(self.actor)
        peer = said.to if is_own else said.sender
        return peer, self.chat(peer), self.stage.as_seen_by(self.actor, said)

    def message(self, name: str) -> tuple[str, Chat, SentMessage | ReceivedMessage]:
        """The same of a message that the actor has. Raises SimulatorError for one that never came."""
        peer, chat, target = self.about(name)
        if target is None:
            raise SimulatorError(f"{self.actor} has no message {name}: it never came, or is gone")
        return peer, chat, target


async def perform(stage: Stage, actor: str, action: StepAction, step: int) -> None:
    """Does *action*. Raises SimulatorError where it makes no sense."""
    call = _Call(stage, actor, step)
    await _ACTIONS[action.word](call, getattr(action, action.word))


async def _send(call: _Call, said: Send) -> None:
    message = call.chat(said.to).send(said.content, as_sms=said.as_sms)
    call.stage.say(said.as_, call.actor, said.to, message, call.step)


async def _sms(call: _Call, said: Text) -> None:
    message = call.phone.send_sms(call.stage.number(said.to), said.text)
    call.stage.say(said.as_, call.actor, said.to, message, call.step)


async def _reply(call: _Call, said: Text) -> None:
    """In the conversation of the message, whoever of the two sent it. One that the actor does not have, as after a
    factory reset, is answered without being named."""
    peer, chat, target = call.about(said.to)
    message = chat.send(said.text) if target is None else chat.reply(target, said.text)
    call.stage.say(said.as_, call.actor, peer, message, call.step)


async def _react(call: _Call, said: Reaction) -> None:
    peer, chat, target = call.message(said.to)
    call.stage.say(said.as_, call.actor, peer, chat.react(target, said.emoji), call.step)


async def _unreact(call: _Call, said: TakenBack) -> None:
    peer, chat, target = call.message(said.message)
    call.stage.say(said.as_, call.actor, peer, chat.unreact(target), call.step)


async def _edit(call: _Call, said: NewWords) -> None:
    peer, chat, target = call.message(said.message)
    call.stage.say(said.as_, call.actor, peer, chat.edit(target, said.text, anyway=said.anyway), call.step)


async def _recall(call: _Call, said: TakenBack) -> None:
    peer, chat, target = call.message(said.message)
    call.stage.say(said.as_, call.actor, peer, chat.recall(target, anyway=said.anyway), call.step)


async def _read(call: _Call, reading: Reading) -> None:
    chats = call.phone.chats if reading.peer is None else (call.chat(reading.peer),)
    for chat in chats:
        chat.read()


def _in_chat(act: Callable[[Chat], object]) -> Callable[[_Call, Peer], Awaitable[None]]:
    async def done(call: _Call, peer: Peer) -> None:
        act(call.chat(peer.peer))

    return done


def _with_phone(act: Callable[[Phone], Awaitable[None]]) -> Callable[[_Call, object], Awaitable[None]]:
    async def done(call: _Call, _: object) -> None:
        await act(call.phone)

    return done


async def _resend(call: _Call, resend: Resend) -> None:
    call.stage.message(resend.message).message.send_as_sms()


async def _airplane(call: _Call, airplane: Airplane) -> None:
    await call.phone.airplane(airplane.on)


async def _swap_device(call: _Call, handset: Handset) -> None:
    entry = call.stage.story.file.phones.get(call.actor)
    policy = call.stage.client_fallback(entry) if entry is not None else None
    await call.stage.sim.exchange(call.actor, device=with_client_policy(load_device(handset.device), policy))


async def _swap_sim(call: _Call, sim: NewSim) -> None:
    await call.stage.sim.exchange(call.actor, carrier=sim.carrier or "", msisdn=sim.msisdn)


async def _add_device(call: _Call, new: NewDevice) -> None:
    sim, number = call.stage.sim, call.stage.number(call.actor)
    home = next(home.name for home in sim.lab.carriers.values() if home.subscriber(number) is not None)
    await sim.add_phone(new.as_, new.device, home, msisdn=number, reads_after_s=new.reads_after_s)


async def _free_sms_memory(call: _Call, count: Count) -> None:
    call.phone.free_sms_memory(count.count)


_ACTIONS: Mapping[str, Callable[[_Call, Any], Awaitable[None]]] = {
    "send": _send,
    "sms": _sms,
    "reply": _reply,
    "react": _react,
    "unreact": _unreact,
    "edit": _edit,
    "recall": _recall,
    "read": _read,
    "open": _in_chat(lambda chat: chat),
    "type": _in_chat(Chat.type),
    "accept": _in_chat(Chat.accept),
    "decline": _in_chat(Chat.decline),
    "end_session": _in_chat(Chat.end_session),
    "consent": _in_chat(Chat.end_encryption),
    "revive": _in_chat(Chat.revive_encryption),
    "resend_as_sms": _resend,
    "power_on": _with_phone(Phone.power_on),
    "power_off": _with_phone(Phone.power_off),
    "power_cycle": _with_phone(Phone.power_cycle),
    "lose_power": _with_phone(Phone.lose_power),
    "airplane": _airplane,
    "wipe": _with_phone(Phone.wipe),
    "swap_device": _swap_device,
    "swap_sim": _swap_sim,
    "add_device": _add_device,
    "free_sms_memory": _free_sms_memory,
}

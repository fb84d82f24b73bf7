"""A phone that is broken on purpose, in one way at a time: the oracle has to find out, from what it sends and shows.

Nothing of this is part of the product; no device profile can ask for it."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import Any, cast

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.display import Display, Shown
from rcs_sim.client.encryption import Encryption, SealDecision, SealedContent, SealStep
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation

__all__ = ["Defect", "add_broken_phone", "break_encryption"]

_PADDED_OCTETS = 256


class Defect(Enum):
    """What is wrong with a phone."""

    SEALS_NOTHING = auto()
    """It sends the text itself as if it were sealed, and shows a lock."""
    MASKS = auto()
    """It masks the text with one octet instead of sealing it, and shows a lock."""
    ENDS_WITHOUT_A_WORD = auto()
    """It notes that encryption has ended, tells nobody, and goes on in clear."""
    FORGETS_TO_SEAL = auto()
    """It has lost the mark of a conversation that it showed as encrypted, and goes on in clear."""
    SHOWS_NO_LOCK = auto()
    SHOWS_NOTHING = auto()
    """What comes is receipted as usual, and not shown."""
    SHOWS_SOMETHING_ELSE = auto()
    """What comes is receipted as usual, and other words are shown."""
    SHOWS_TWICE = auto()


class _BrokenDisplay(Display):
    """A screen with one of the defects that a screen can have."""

    __slots__ = ("defect",)

    def __init__(self, phone: Phone, defect: Defect) -> None:
        whole = phone.display
        super().__init__(whole._name, whole._clock, whole._trace)
        self.defect = defect

    def show(self, what: Shown, peer: str = "", **members: Any) -> None:
        is_incoming = what is Shown.MESSAGE and members.get("direction") == "in"
        if self.defect is Defect.SHOWS_NOTHING and is_incoming:
            return
        if self.defect is Defect.SHOWS_SOMETHING_ELSE and is_incoming:
            members["text"] = "this message could not be read"
        if self.defect is Defect.SHOWS_NO_LOCK:
            members |= {"scheme": None, **({"label": "RCS"} if "label" in members else {})}
        super().show(what, peer, **members)
        if self.defect is Defect.SHOWS_TWICE and is_incoming:
            super().show(what, peer, **members)


class _BrokenEncryption:
    """An encryption with one of the defects that it can have; all else is done by the whole one."""

    def __init__(self, whole: Encryption, defect: Defect) -> None:
        self._whole, self._defect = whole, defect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def decide(self, conversation: Conversation, *, may_wait: bool) -> SealDecision:
        if self._defect in (Defect.FORGETS_TO_SEAL, Defect.ENDS_WITHOUT_A_WORD):
            return SealDecision(SealStep.PLAIN)
        return self._whole.decide(conversation, may_wait=may_wait)

    def seal(self, message: SentMessage) -> SealedContent:
        sealed = self._whole.seal(message)
        text = message.text.encode()
        if self._defect is Defect.SEALS_NOTHING:
            return replace(sealed, octets=text)
        if self._defect is Defect.MASKS:
            return replace(sealed, octets=bytes(octet ^ 0x5A for octet in text.ljust(_PADDED_OCTETS)))
        return sealed


async def add_broken_phone(simulation: Simulation, name: str, defect: Defect, **options: Any) -> Phone:
    """A phone whose screen is broken from the beginning. *options* are those of `Simulation.add_phone`."""
    phone = await simulation.add_phone(name, is_on=False, **options)
    phone.display = _BrokenDisplay(phone, defect)
    await phone.wipe()  # its parts are made anew, with the broken screen
    await phone.power_on()
    return phone


def break_encryption(phone: Phone, defect: Defect) -> None:
    """From now on *phone* seals as *defect* says."""
    messenger = phone._messenger
    assert messenger.encryption is not None
    if defect in (Defect.FORGETS_TO_SEAL, Defect.ENDS_WITHOUT_A_WORD):
        for conversation in messenger.conversations.values():
            if defect is Defect.ENDS_WITHOUT_A_WORD:
                messenger.display.state("encryption", "ended", conversation_id=conversation.id, peer=conversation.peer)
            conversation.is_encrypted = False
    messenger.encryption = cast(Encryption, _BrokenEncryption(messenger.encryption, defect))

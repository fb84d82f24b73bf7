"""Whether the names that a scenario file uses are there: phones, messages, carriers, devices, fault words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from ims_core.errors import ProfileError
from rcs_sim.scenario.faults.fault_kind import FaultError, KeyKind, ScopeKey
from rcs_sim.scenario.faults.fault_scope import NUMBERS, OTHER_KEYS, checked_number
from rcs_sim.scenario.faults.registry import FAULTS, near_words
from rcs_sim.scenario.loader import load_carrier_profile, load_device
from rcs_sim.scenario.model import CarrierProfile, NetworkFile
from rcs_sim.scenario.story.expectation_model import SCENE, MessageExpectation
from rcs_sim.scenario.story.scenario_file import ScenarioFile
from rcs_sim.scenario.story.step_model import KEYWORDS, Step, StepAction
from rcs_sim.scenario.yaml_document import Location, YamlDocument

__all__ = ["NameCheck", "check_step_words"]

_OTHER_SCOPE_NAMES = ("from_", "as_", "who")  # of keys that are there under another name

_DIALLED = re.compile(r"\+[1-9][0-9]{3,14}|(?:tel|sips?):\S+")


def check_step_words(document: YamlDocument, plain: Any) -> None:
    """The keys of steps and of expectations, before anything else is said about what is below them: a misspelt name of
    a phone or a keyword is told as such. Raises ProfileError."""
    phones = list(_mapping(_mapping(plain).get("phones")))
    steps = _mapping(plain).get("steps")
    messages: list[str] = []
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        for key, value in _mapping(step).items():
            if key not in KEYWORDS and key not in phones and key != "id":
                allowed = ", ".join((*phones, *KEYWORDS))
                raise document.error(
                    ("steps", index, key), f"no phone and no kind of step; allowed: {allowed}", is_key=True
                )
            if key == "expect":
                _check_expected(document, index, _mapping(value), messages)
            if key == "fault":
                phones += _new_phones(_mapping(value))
                continue
            for action, said in _mapping(value).items():
                name = _mapping(said).get("as") if isinstance(said, Mapping) else said
                if action == "add_device" and isinstance(name, str):
                    phones.append(name)
                elif isinstance(said, Mapping) and isinstance(name, str):
                    messages.append(name)


def _new_phones(faults: Mapping[str, Any]) -> list[str]:
    """Names of the phones that faults add."""
    names = (_mapping(scope).get("as") for word, scope in faults.items() if _adds_phone(word))
    return [name for name in names if isinstance(name, str)]


def _adds_phone(word: str) -> bool:
    return word in FAULTS and any(key.name == "as" and key.kind is KeyKind.TEXT for key in FAULTS[word].keys)


def _check_expected(document: YamlDocument, index: int, value: Mapping[str, Any], messages: list[str]) -> None:
    for key in value:
        if key not in SCENE and key not in messages:
            allowed = ", ".join((*messages, *SCENE))
            raise document.error(
                ("steps", index, "expect", key), f"no message sent before; allowed: {allowed}", is_key=True
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class NameCheck:
    """Goes through a valid *file* in the order of its steps."""

    __slots__ = ("_document", "_file", "_ids", "_messages", "_network", "_phones")

    def __init__(self, document: YamlDocument, file: ScenarioFile, network: NetworkFile) -> None:
        self._document, self._file, self._network = document, file, network
        self._phones: list[str] = []
        self._messages: list[str] = []
        self._ids: list[str] = []

    def run(self) -> None:
        """Raises ProfileError at the first name that is not there."""
        for name, phone in self._file.phones.items():
            self._new_phone(("phones", name), name)
            self._known(("phones", name, "carrier"), phone.carrier, self._network.carriers, "carrier of the network")
            self._device(("phones", name, "device"), phone.device)
        for carrier, changes in self._file.policy.carriers.items():
            self._carrier_changes(carrier, changes)
        for index, step in enumerate(self._file.steps):
            self._step(index, step)

    def _step(self, index: int, step: Step) -> None:
        at: Location = ("steps", index)
        if step.id is not None:
            if step.id in self._ids:
                raise self._document.error((*at, "id"), f"there is a step {step.id!r} already")
            self._ids.append(step.id)
        if step.action is not None:
            self._action((*at, step.actor or ""), step.action)
        for word, scope in (step.fault or {}).items():
            self._fault((*at, "fault", word), word, scope)
        for word in step.end_fault or ():
            self._fault((*at, "end_fault"), word, {})
        if step.operator_sms is not None:
            carriers = self._network.carriers
            self._known((*at, "operator_sms", "carrier"), step.operator_sms.carrier, carriers, "carrier of the network")
            self._address((*at, "operator_sms", "to"), step.operator_sms.to)
        if step.expect is not None:
            self._expect(index, step)

    def _action(self, at: Location, action: StepAction) -> None:
        at = (*at, action.word)
        for member in ("send", "sms"):
            said = getattr(action, member)
            if said is not None:
                self._address((*at, "to"), said.to)
                self._new_message((*at, "as"), said.as_)
        if action.reply is not None:
            self._known((*at, "to"), action.reply.to, self._messages, "message sent before")
            self._new_message((*at, "as"), action.reply.as_)
        for member, target in (("react", "to"), ("unreact", "message"), ("edit", "message"), ("recall", "message")):
            said = getattr(action, member)
            if said is not None:
                self._known((*at, target), getattr(said, target), self._messages, "message sent before")
                self._new_message((*at, "as"), said.as_)
        for member in ("read", "open", "type", "accept", "decline", "end_session", "consent", "revive"):
            peer = getattr(action, member)
            if peer is not None and peer.peer is not None:
                self._address((*at, "peer"), peer.peer)
        if action.resend_as_sms is not None:
            self._known((*at, "message"), action.resend_as_sms.message, self._messages, "message sent before")
        if action.swap_device is not None:
            self._device((*at, "device"), action.swap_device.device)
        if action.swap_sim is not None and action.swap_sim.carrier is not None:
            self._known((*at, "carrier"), action.swap_sim.carrier, self._network.carriers, "carrier of the network")
        if action.add_device is not None:
            self._new_phone((*at, "as"), action.add_device.as_)
            self._device((*at, "device"), action.add_device.device)

    def _expect(self, index: int, step: Step) -> None:
        at: Location = ("steps", index, "expect")
        expect = step.expect
        if expect is None:
            return
        for name, expected in expect.messages.items():
            self._readers((*at, name), expected)
            for member in ("text", "recalled", "reactions"):
                by_phone = getattr(expected, member)
                for phone in by_phone if isinstance(by_phone, dict) else ():
                    self._phone((*at, name, member, phone), phone)
        for member in ("label", "scheme", "session", "typing"):
            for phone, peers in (getattr(expect, member) or {}).items():
                self._phone((*at, member, phone), phone)
                for peer in peers:
                    self._address((*at, member, phone, peer), peer, is_key=True)
        for member in ("registered", "inbox", "screen"):
            for phone in getattr(expect, member) or {}:
                self._phone((*at, member, phone), phone)
        for number, pair in enumerate(expect.same_security_code or ()):
            for place, phone in enumerate(pair):
                self._phone((*at, "same_security_code", number, place), phone, is_key=False)
            if len(pair) != 2:
                raise self._document.error((*at, "same_security_code", number), "two phones compare their codes")

    def _readers(self, at: Location, expected: MessageExpectation) -> None:
        for member in ("readers", "readers_include", "readers_exclude"):
            for place, name in enumerate(getattr(expected, member) or ()):
                if name.partition(".")[0] not in self._network.carriers or "." not in name:
                    self._phone((*at, member, place), name, is_key=False)

    def _fault(self, at: Location, word: str, scope: Mapping[str, Any]) -> None:
        kind = FAULTS.get(word)
        if kind is None:
            allowed = ", ".join(near_words(word) or FAULTS)
            raise self._document.error(at, f"{word!r} is no fault; allowed: {allowed}", is_key=True)
        keys = [key.name for key in kind.all_keys]
        if _adds_phone(word) and isinstance(scope.get("as"), str):
            self._new_phone((*at, "as"), scope["as"])
        for name, value in scope.items():
            if name not in _OTHER_SCOPE_NAMES:
                self._known((*at, name), name, keys, f"scope of {word}", is_key=True)
            known = next((key for key in kind.all_keys if key.name == OTHER_KEYS.get(name, name)), None)
            if known is not None and value is not None:
                self._scope_value((*at, name), word, known, value)

    def _scope_value(self, at: Location, word: str, key: ScopeKey, value: Any) -> None:
        """What can be told before anything runs: numbers, words, and the names of phones and carriers."""
        if key.kind in NUMBERS:
            try:
                checked_number(word, key, value)
            except FaultError as error:
                raise self._document.error(at, str(error)) from None
        elif not isinstance(value, str) or not value:
            raise self._document.error(at, f"{key.name} is {key.kind.value}, not {value!r}")
        elif key.kind is KeyKind.WORD:
            self._known(at, value, key.words, key.name)
        elif key.kind is KeyKind.PHONE:
            self._phone(at, value, is_key=False)
        elif key.kind is KeyKind.CARRIER:
            self._known(at, value, self._network.carriers, "carrier of the network")

    # --- one name ----------------------------------------------------------------------------------------------------

    def _known(self, at: Location, name: str, among: Iterable[str], what: str, *, is_key: bool = False) -> None:
        known = list(among)
        if name not in known:
            allowed = ", ".join(known) or "(none)"
            raise self._document.error(at, f"{name!r} is no {what}; allowed: {allowed}", is_key=is_key)

    def _phone(self, at: Location, name: str, *, is_key: bool = True) -> None:
        self._known(at, name, self._phones, "phone of the scenario", is_key=is_key)

    def _address(self, at: Location, name: str, *, is_key: bool = False) -> None:
        if _DIALLED.fullmatch(name) is None:
            self._known(at, name, self._phones, "phone of the scenario and no number", is_key=is_key)

    def _new_phone(self, at: Location, name: str) -> None:
        if name in KEYWORDS or name == "id" or name in self._phones:
            raise self._document.error(at, f"{name!r} is taken: choose another name for the phone", is_key=True)
        self._phones.append(name)

    def _new_message(self, at: Location, name: str | None) -> None:
        if name is None:
            return
        if name in SCENE or name in self._messages:
            raise self._document.error(at, f"{name!r} is taken: choose another name for the message")
        self._messages.append(name)

    def _device(self, at: Location, name: str) -> None:
        try:
            load_device(name)
        except ProfileError as error:
            raise self._document.error(at, str(error).partition(": ")[2]) from None

    def _carrier_changes(self, carrier: str, changes: Mapping[str, Any]) -> None:
        at: Location = ("policy", "carriers", carrier)
        self._known(at, carrier, self._network.carriers, "carrier of the network", is_key=True)
        profile = load_carrier_profile(self._network.carriers[carrier].profile)
        for member in changes:
            self._known((*at, member), member, CarrierProfile.model_fields, "member of a carrier profile", is_key=True)
        try:
            CarrierProfile.model_validate({**profile.model_dump(), **changes})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise self._document.error((*at, *first["loc"]), first["msg"]) from None

"""`rcs-sim phone`: one emulated phone in a terminal, against this network or another."""

from __future__ import annotations

import asyncio
import json
import re
import selectors
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ims_core.errors import ProfileError, SimulatorError
from ims_core.trace import Trace
from ims_core.transport.http_sockets import SocketHttpClient
from ims_core.transport.link import Address, Transport
from ims_core.transport.name_table import NameTable
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tls import TlsPolicy
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, run
from ims_core.wire.secret import Secret
from rcs_sim.client.chat import Chat
from rcs_sim.client.display import Shown, ShownEvent
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import NotSeenInTime, ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone, PhoneConfig
from rcs_sim.mls.key_log import WriteLine
from rcs_sim.scenario.loader import load_device, load_network
from rcs_sim.scenario.subscribers import imsi_of
from rcs_sim.scenario.wireshark import key_log_file

__all__ = ["PhoneOptions", "run_phone"]

_EXAMPLE = "two-carriers"
_NUMBER = re.compile(r"\+[1-9][0-9]{3,14}")  # E.164
_SHOWN_LINES = 20  # of a conversation
_LEAVES_WITHIN_S = 15.0  # what was said last, when the input ends
_BY_RADIO = ("/sms", "/type", "/re", "/unreact", "/edit")  # commands that wait until the phone is up, as a text does
_HELP = """\
/to NUMBER     choose whom to write to; a line without a slash is then sent
/sms TEXT      send as SMS, whatever the contact can do
/react EMOJI   on the last message that came; /unreact takes it back; /reply TEXT answers that message
/show          the conversation as it stands: reactions, new texts, what was taken back
/edit TEXT     a new text for your last message; /recall takes it back
/yes           "not delivered: send as text?" yes
/type  /read   start typing; look at what came
/accept  /decline   an invitation to chat that waits for you
/leave         end the session with that number
/lock          how the conversation is encrypted, and the code that both of you compare
/unlock        go on without encryption, for both: whoever carries it can read it then
/relock        encrypt again what was unlocked
/airplane on|off   /off  /on   the radio; the phone
/status        registration, number, conversations and their sessions
/quit          de-register and end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOptions:
    """What the command line says. *cs* is host:port of the circuit-switched stand-in, None for a phone without one."""

    msisdn: str
    acs: str
    device: str
    host: str
    imsi: str | None = None
    enrichment: str = ""
    cs: str | None = None
    service_centre: str = ""
    k: str | None = field(default=None, repr=False)
    opc: str | None = field(default=None, repr=False)
    ca: Path | None = None
    key_log: Path | None = None
    as_json: bool = False


def run_phone(options: PhoneOptions) -> int:
    """Runs until `/quit`, the end of the input or a signal; 0 if the phone was registered at some time. Raises OSError
    if the key log cannot be written."""
    with nullcontext() if options.key_log is None else key_log_file(options.key_log) as write:
        return run(lambda: _Terminal(options, write).run(), clock="real")


class _Terminal:
    """Reads commands, shows what the phone shows."""

    def __init__(self, options: PhoneOptions, key_log: WriteLine | None = None) -> None:
        self._options = options
        self._clock = RealClock()
        self._network = SocketNetwork(self._clock, tls=TlsPolicy(trusted=options.ca))
        trace = Trace()
        self._http = SocketHttpClient(
            "phone",
            clock=self._clock,
            trace=trace,
            book=self._network.book,
            local_host=options.host,
            access_headers=(("X-MSISDN", options.msisdn),),
            tls=None if options.ca is None else self._network.tls.client_context("phone"),
        )
        self.phone = Phone(
            _phone_config(options),
            network=self._network,
            http=self._http,
            clock=self._clock,
            tokens=Tokens(),
            trace=trace,
            names=NameTable(),
            key_log=key_log,
        )
        self.phone.watchers.append(self._shown)
        self._peer: str | None = None
        self._asked: SentMessage | None = None
        self._was_registered = False
        self._booted = asyncio.Event()

    async def run(self) -> int:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                working = [
                    tasks.create_task(self._switch_on(), name="phone boot"),
                    tasks.create_task(self._read_commands(stop), name="terminal input"),
                ]
                await stop.wait()
                for task in working:
                    task.cancel()
        finally:
            await self.phone.power_off()
            await self._http.close()
            await self._network.close()
        return 0 if self._was_registered else 1

    async def _switch_on(self) -> None:
        await self.phone.power_on()
        self._status()
        self._booted.set()

    async def _read_commands(self, stop: asyncio.Event) -> None:
        try:
            async for line in _input_lines():
                if line.strip() == "/quit":
                    return
                if not line.startswith("/") or line.startswith(_BY_RADIO):
                    await self._booted.wait()  # before that a text from a pipe would go by SMS, or fail
                await self._obey(line.strip())
            await self._booted.wait()
            await self._let_messages_leave()
        finally:
            stop.set()

    async def _let_messages_leave(self) -> None:
        """The input has ended, perhaps because it was a pipe: what it said is to be sent before the phone goes off."""
        messages = [one for chat in self.phone.chats for one in chat.messages if isinstance(one, SentMessage)]
        for message in messages:
            if message.state in (MessageState.QUEUED, MessageState.SENDING):
                with suppress(NotSeenInTime):
                    await message.sent(_LEAVES_WITHIN_S)

    async def _obey(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        commands: Mapping[str, Callable[[], object]] = {
            "/to": lambda: self._choose(argument),
            "/sms": lambda: self.phone.send_sms(self._chosen(), argument),
            "/yes": self._consent,
            "/show": self._show_conversation,
            "/react": lambda: self._chat.react(self._last(ReceivedMessage), argument),
            "/unreact": lambda: self._chat.unreact(self._last(ReceivedMessage)),
            "/reply": lambda: self._chat.reply(self._last(ReceivedMessage), argument),
            "/edit": lambda: self._chat.edit(self._last(SentMessage), argument),
            "/recall": lambda: self._chat.recall(self._last(SentMessage)),
            "/type": lambda: self.phone.chat(self._chosen()).type(),
            "/read": lambda: self.phone.chat(self._chosen()).read(),
            "/accept": lambda: self.phone.chat(self._chosen()).accept(),
            "/decline": lambda: self.phone.chat(self._chosen()).decline(),
            "/leave": lambda: self.phone.chat(self._chosen()).end_session(),
            "/lock": self._show_lock,
            "/unlock": lambda: self.phone.chat(self._chosen()).end_encryption(),
            "/relock": lambda: self.phone.chat(self._chosen()).revive_encryption(),
            "/status": self._status,
            "/help": lambda: self._say("help", _HELP),
        }
        try:
            match command:
                case "":
                    return
                case "/airplane":
                    await self.phone.airplane(argument == "on")
                case "/on":
                    await self.phone.power_on()
                case "/off":
                    await self.phone.power_off()
                case _ if command in commands:
                    commands[command]()
                case _ if command.startswith("/"):
                    self._say("error", f"{command} is no command here; /help lists them")
                case _:
                    self.phone.chat(self._chosen()).send(line)
        except SimulatorError as error:
            self._say("error", str(error))

    def _choose(self, peer: str) -> None:
        self.phone.chat(peer)
        self._peer = peer

    def _chosen(self) -> str:
        if self._peer is None:
            raise ProfileError("say /to NUMBER first", file="terminal")
        return self._peer

    @property
    def _chat(self) -> Chat:
        return self.phone.chat(self._chosen())

    def _last(self, kind: type[SentMessage] | type[ReceivedMessage]) -> SentMessage | ReceivedMessage:
        """The last of that kind in the conversation, which has not been recalled."""
        messages = (one for one in reversed(self._chat.messages) if isinstance(one, kind) and not one.is_recalled)
        found = next(messages, None)
        if found is None:
            raise ProfileError("there is no such message in this conversation", file="terminal")
        return found

    def _show_conversation(self) -> None:
        chat = self._chat
        for one in chat.messages[-_SHOWN_LINES:]:
            reactions = {"me" if member == "" else str(member): emoji for member, emoji in one.reactions.items()}
            details = {
                "peer": chat.peer,
                "direction": one.direction,
                "text": one.shown_text or "",
                "label": one.label,
                "state": one.state.value,
                "reactions": reactions,
                "edited": one.is_edited,
                "recalled": one.is_recalled,
            }
            self._say("line", _line_words(one), details)

    def _consent(self) -> None:
        if self._asked is not None:
            self._asked.send_as_sms()
            self._asked = None

    def _show_lock(self) -> None:
        """The simulator's own digits: no other client shows the same."""
        chat = self.phone.chat(self._chosen())
        code = chat.security_code if chat.scheme else None
        details = {"peer": chat.peer, "label": chat.label, "scheme": chat.scheme, "security_code": code}
        words = f" by {chat.scheme}" if chat.scheme else ""
        compared = f", security code (simulator's) {code}" if code else ""
        self._say("lock", f"{chat.label}{words}{compared}", details)

    def _status(self) -> None:
        self._was_registered |= self.phone.is_registered
        details = {
            "registered": self.phone.is_registered,
            "number": self.phone.number,
            "chats": [
                {"peer": str(chat.peer), "label": chat.label, "scheme": chat.scheme, "session": chat.session}
                for chat in self.phone.chats
            ],
        }
        words = "registered" if self.phone.is_registered else "not registered"
        sessions = "".join(f"; session with {one.peer}: {one.session}" for one in self.phone.chats if one.session)
        self._say("status", f"{words} as {self.phone.number or self._options.msisdn}{sessions}", details)

    def _shown(self, event: ShownEvent) -> None:
        self._was_registered |= self.phone.is_registered
        if event.details.get("offers_sms") and isinstance(event.message, SentMessage):
            self._asked = event.message
        details = {"peer": event.peer, **event.details}
        if isinstance(event.message, SentMessage):
            details |= {"id": event.message.id, "direction": "out"}
        elif event.message is not None:
            details["direction"] = "in"
        words = _change_words(event) or " ".join(str(value) for value in event.details.values())
        self._say(str(event.what), words, details)

    def _say(self, what: str, text: str, details: Mapping[str, object] | None = None) -> None:
        if self._options.as_json:
            line = {"at": round(self._clock.now(), 3), "what": what, **(details or {"text": text})}
            print(json.dumps(line, ensure_ascii=False, default=str), flush=True)
            return
        peer = str((details or {}).get("peer", ""))
        print(" ".join(part for part in (f"[{what}]", peer, text) if part), flush=True)


def _line_words(message: SentMessage | ReceivedMessage) -> str:
    """A message as it stands in the conversation."""
    who = "me:" if isinstance(message, SentMessage) else "peer:"
    text = "(recalled)" if message.is_recalled else message.shown_text or f"({message.state.value})"
    edited = " (edited)" if message.is_edited and not message.is_recalled else ""
    return " ".join((who, f"{text}{edited}", *message.reactions.values()))


def _change_words(event: ShownEvent) -> str:
    """What happened to which text; "" for what is no reaction, edit or recall."""
    message = event.message
    change = message.change if isinstance(message, SentMessage | ReceivedMessage) else None
    if event.what is not Shown.CHANGE or change is None or not isinstance(message, SentMessage | ReceivedMessage):
        return ""
    target = next((one for one in message.conversation.messages if one.id == change.key), None)
    about = f" “{target.text}”" if target is not None and target.text else ""
    return f"{change.kind}{about}: {change.emoji or change.text}".removesuffix(": ")


def _phone_config(options: PhoneOptions) -> PhoneConfig:
    if _NUMBER.fullmatch(options.msisdn) is None:
        raise ProfileError(f"{options.msisdn!r} is not a number such as +12025550101", file="--msisdn")
    _check_url(options.acs, "--acs")
    if options.enrichment:
        _check_url(options.enrichment, "--enrichment")
    return PhoneConfig(
        name="phone",
        policy=load_device(options.device),
        imsi=options.imsi or imsi_of(options.msisdn, _home_of(options.msisdn)),
        imei="00499901000001",
        k=_secret(options.k, "--k"),
        opc=_secret(options.opc, "--opc"),
        host=options.host,
        acs_url=options.acs,
        enrichment_url=options.enrichment,
        msisdn_hint=options.msisdn,
        smsc=_cs_address(options.cs),
        service_centre=options.service_centre,
        reads_after_s=None,
        ready_within_s=60.0,
    )


def _check_url(text: str, option: str) -> None:
    try:
        url = urlsplit(text)
        is_fine = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number
        is_fine = False
    if not is_fine:
        raise ProfileError(f"{text!r} is not a URL such as http://127.0.1.40:8080/", file=option)


def _home_of(msisdn: str) -> str:
    """Domain of the carrier that has the number in the network of every example; "" for others."""
    carriers = load_network(_EXAMPLE).carriers.values()
    found = [(len(prefix), one.domain) for one in carriers for prefix in one.prefixes if msisdn.startswith(prefix)]
    return max(found)[1] if found else ""


def _secret(text: str | None, option: str) -> Secret | None:
    if text is None:
        return None
    try:
        secret = Secret.of_hex(text)
    except ValueError as error:
        raise ProfileError("not hexadecimal digits", file=option) from error
    if len(secret) != 16:
        raise ProfileError("32 hexadecimal digits are needed", file=option)
    return secret


def _cs_address(text: str | None) -> Address | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise ProfileError(f"{text!r} is not host:port", file="--cs")
    return Address(Transport.TCP, host, int(port))


def _can_wait_for_input() -> bool:
    """Not for a file, /dev/null, or an input that was closed."""
    if sys.stdin is None:
        return False
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(sys.stdin, selectors.EVENT_READ)
        except (ValueError, OSError):
            return False
    return True


async def _input_lines() -> AsyncIterator[str]:
    """Lines of standard input; what the loop cannot wait for, such as a file, is read at once."""
    if not _can_wait_for_input():
        octets = b"" if sys.stdin is None else sys.stdin.buffer.read()
        for typed in octets.decode("utf-8", "replace").splitlines():
            yield typed
        return
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line.decode("utf-8", "replace")
    finally:
        pipe.close()

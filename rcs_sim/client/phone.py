"""One emulated phone: SIM, autoconfiguration, RCS, short messages, and a user's hands on it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import replace

from ims_core.errors import LocalProtocolError, TransportError
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HttpClient
from ims_core.transport.link import Network
from ims_core.transport.name_table import NameTable
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.aka import Usim
from rcs_sim.client.account import UnusableConfiguration
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.chat import Chat
from rcs_sim.client.circuit_switched import CircuitSwitchedLink
from rcs_sim.client.display import Display, Shown, ShownEvent
from rcs_sim.client.e2ee.phone_encryption import PhoneEncryption
from rcs_sim.client.errands import Errands
from rcs_sim.client.identity import dialled_key
from rcs_sim.client.ims_service import ImsService
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.phone_config import PhoneConfig
from rcs_sim.client.provisioning import Provisioning
from rcs_sim.client.provisioning_driver import ProvisioningDriver
from rcs_sim.client.provisioning_values import (
    AskMsisdn,
    ConfigurationKept,
    Postponed,
    ProvisioningOutput,
    ProvisioningSettings,
    Save,
    ServiceState,
    ShowMessage,
    StartService,
    StopService,
    Subscription,
)
from rcs_sim.client.receipts import ReceiptSender
from rcs_sim.client.registration import Registration
from rcs_sim.client.sms_incoming import DataReceived, TextReceived
from rcs_sim.client.sms_outgoing import SmsPath
from rcs_sim.client.sms_service import SmsService, SmsUser
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["Phone", "PhoneConfig"]

_log = logging.getLogger(__name__)

_DIGIT = re.compile(r"\d")
ATTACH_WITHIN_S = 10.0  # a phone does not wait longer for its circuit-switched network before it goes on


class Phone:
    """A phone can be switched on and off any number of times; its conversations, its configuration and its SIM stay.

    *watchers* (``phone.watchers``) are called with a `ShownEvent` for everything that the user sees. *key_log* is given
    the lines of `rcs_sim.mls.key_log`."""

    def __init__(
        self,
        config: PhoneConfig,
        *,
        network: Network,
        http: HttpClient | None,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        key_log: Callable[[str], None] | None = None,
    ) -> None:
        if config.acs_url is not None and http is None:
            raise LocalProtocolError("a phone that asks an ACS needs an HTTP client", spec="PhoneConfig")
        self.config = config
        self._network, self._http, self._clock, self._trace, self._names = network, http, clock, trace, names
        self._tokens, self._key_log = tokens, key_log
        self._alarms = Alarms(clock)
        self._errands = Errands(config.name)
        self.display = Display(config.name, clock, trace)
        self._usim = Usim(config.k, config.opc) if config.k is not None and config.opc is not None else None
        self._resets = 0
        self._make_parts()
        self._driver: ProvisioningDriver | None = None
        self._ims: ImsService | None = None
        self._wanted: RcsConfiguration | None = None
        self._work: asyncio.Task[None] | None = None  # brings what runs in line with what is wanted
        self._stale: ImsService | None = None  # of before the power was lost
        self._boots = 0
        self._verdict: asyncio.Future[None] | None = None
        self.is_on = False
        self._is_in_airplane_mode = False

    # --- what is known about it --------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def clock_skew_s(self) -> float:
        """How much its own clock is ahead of the true one."""
        return self._alarms.skew_s

    @clock_skew_s.setter
    def clock_skew_s(self, skew_s: float) -> None:
        self._alarms.skew_s = skew_s
        if self.encryption is not None:
            self.encryption.clock_set()

    @property
    def watchers(self) -> list[Callable[[ShownEvent], None]]:
        return self.display.watchers

    @property
    def is_registered(self) -> bool:
        return self._messenger.own.is_registered

    @property
    def registration(self) -> Registration | None:
        """The registration machine, with its state and its binding; None without RCS service."""
        return self._ims.registration.machine if self._ims is not None else None

    @property
    def configuration(self) -> RcsConfiguration | None:
        """The configuration in force."""
        return self._ims.configuration if self._ims is not None else self._wanted

    @property
    def provisioning(self) -> Provisioning | None:
        """The autoconfiguration machine; None for a phone with a configuration of its own."""
        return self._provisioning

    @property
    def number(self) -> str:
        """Own number in E.164, "" while it is unknown."""
        if self._ims is not None:
            return str(self._ims.ua.account.number)
        document = self.config.configuration
        return (document.msisdn if document is not None else "") or self.config.msisdn_hint or ""

    @property
    def chats(self) -> tuple[Chat, ...]:
        """All conversations, in the order in which they began."""
        conversations = self._messenger.conversations.values()
        return tuple(Chat(each, self._messenger, self._inbox) for each in conversations)

    # --- the user's hands --------------------------------------------------------------------------------------------

    def chat(self, peer: str | Phone) -> Chat:
        """Opens the conversation with a number or SIP URI, or with the number of another phone. Raises NotAnAddress."""
        conversation = self._messenger.conversation(dialled_key(_dialled(peer), self.number))
        self._messenger.open(conversation)
        return Chat(conversation, self._messenger, self._inbox)

    def send_sms(self, peer: str | Phone, text: str) -> SentMessage:
        """Sends *text* as SMS, whatever the contact can do. Raises NotAnAddress."""
        conversation = self._messenger.conversation(dialled_key(_dialled(peer), self.number))
        return self._messenger.send_text(conversation, text, as_sms=True)

    def free_sms_memory(self, count: int) -> None:
        """The user deletes *count* short messages."""
        self._messenger.sms.free_memory(count)

    def type_code(self, text: str) -> None:
        """Types in the one-time password that came to another device of the number; *text* is the SMS with it."""
        if self._driver is not None:
            self._driver.code_typed(text)

    async def power_on(self) -> None:
        """Boots: attaches, provisions, registers. Returns when RCS runs, or when it is clear that it does not for now:
        the phone goes on trying by itself. Raises TransportError if the own address cannot be used."""
        if self.is_on:
            return
        self.is_on = True
        self._is_in_airplane_mode = False
        self._alarms.is_frozen = False
        await self._begin()

    async def power_off(self) -> None:
        """De-registers, leaves the networks, and stops."""
        if not self.is_on:
            return
        self.is_on = False
        await self._end()
        self._alarms.freeze()
        await self._errands.close()
        self._forget_requests()

    async def lose_power(self) -> None:
        """Stops without a word to anybody."""
        if not self.is_on:
            return
        self.is_on = False
        self._stop_provisioning()
        await self._stop_work()
        self._forget_requests()
        ims, self._ims = self._ims, None
        if ims is not None:
            ims.lose_power()
            self._stale = ims
        if self._cs is not None:
            self._cs.lost()
        self._alarms.freeze()
        await self._errands.close()
        self._forget_requests()

    async def power_cycle(self) -> None:
        """Off and on again."""
        await self.power_off()
        await self.power_on()

    async def wipe(self) -> None:
        """Factory reset: conversations, configuration, keys and what is known about contacts are gone; the SIM stays.
        The phone is off afterwards."""
        await self.power_off()
        await self.lose_power()
        if self._stale is not None:
            await self._stale.close_stacks()
            self._stale = None
        self._resets += 1
        self._tokens = self._tokens.child(f"reset {self._resets}")
        self._wanted = None
        self._alarms = self._alarms.started_anew()
        self._make_parts()
        self.display.state("phone", "wiped")

    async def airplane(self, on: bool) -> None:
        """Airplane mode: the radio goes off in an orderly way, the phone stays on. A boot ends it."""
        if not self.is_on or on is self._is_in_airplane_mode:
            return
        self._is_in_airplane_mode = on
        self.display.state("airplane mode", "on" if on else "off")
        await (self._end() if on else self._begin())

    async def _begin(self) -> None:
        self._verdict = asyncio.get_running_loop().create_future()
        if self._stale is not None:
            await self._stale.close_stacks()
            self._stale = None
        if self._cs is not None:
            await self._cs.attach(ATTACH_WITHIN_S)
        if self._provisioning is None:
            self._want(self.config.configuration)
        else:
            self._start_provisioning(self._provisioning)
        await asyncio.wait((self._verdict,), timeout=self.config.ready_within_s)
        self._verdict = None
        self._alarms.thaw()

    async def _end(self) -> None:
        self._stop_provisioning()
        self._wanted = None
        await self._stop_work()
        self._forget_requests()
        await self._close_ims()
        if self._cs is not None:
            self._cs.detach()

    def _forget_requests(self) -> None:
        """Also of those that began while the phone went off: nobody brings them to an end."""
        if self.encryption is not None:
            self.encryption.power_lost()

    # --- autoconfiguration -------------------------------------------------------------------------------------------

    def _new_provisioning(self) -> Provisioning | None:
        config = self.config
        if config.acs_url is None:
            return None
        settings = ProvisioningSettings(
            configuration_url=config.acs_url,
            enrichment_url=(config.enrichment_url or config.acs_url) if config.header_enrichment else None,
            software=config.policy.software,
            policy=config.policy.provisioning,
            user_agent=config.policy.user_agent,
            imei=config.imei,
        )
        subscription = Subscription(config.imsi, config.msisdn_hint or "")
        core = Provisioning(settings, subscription, self._tokens.child("acs"), access=config.access)
        if self.encryption is not None:
            core.participant_key = self.encryption.participant.spki
        return core

    def _start_provisioning(self, core: Provisioning) -> None:
        http = self._http
        if http is None:
            return
        calendar = self._alarms.calendar
        self._driver = ProvisioningDriver(core, http, calendar, self._errands, self._provisioned, name=self.name)
        self._driver.boot()
        is_waiting = self._wanted is not None or core.next_deadline() is not None
        if not is_waiting and core.state is not ServiceState.ACTIVE:
            self._settle()  # off for good, or until the user acts

    def _stop_provisioning(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def _provisioned(self, output: ProvisioningOutput) -> None:
        match output:
            case StartService():
                self.display.state("configuration", "in force")
                self._want(output.configuration)
            case StopService():
                self.display.state("configuration", "stopped", reason=output.reason.value)
                self._want(None)
                self._settle()
            case ConfigurationKept():
                self._try_again_with_what_is_kept()
            case Postponed():
                self.display.state("configuration", "postponed", reason=output.reason.value)
                if self._wanted is None:
                    self._settle()
            case AskMsisdn():
                self._answer_with_hint()
            case ShowMessage():
                self.display.show(Shown.NOTICE, text=output.message.message, title=output.message.title)
            case Save():
                pass  # the machine keeps it while the process lives

    def _answer_with_hint(self) -> None:
        hint, driver = self.config.msisdn_hint, self._driver
        if hint is not None and driver is not None:
            asyncio.get_running_loop().call_soon(driver.msisdn_given, hint)
        else:
            self.display.show(Shown.NOTICE, text="Enter your phone number")
            self._settle()

    def _try_again_with_what_is_kept(self) -> None:
        """The server has nothing new: a refused registration is tried once more (digest §2.5)."""
        ims = self._ims
        if ims is not None and not self.is_registered and not ims.registration.is_trying:
            ims.registration.start()

    def _configuration_stale(self) -> None:
        """403 to REGISTER, or to too many messages (digest §8.6)."""
        driver = self._driver
        if driver is not None:
            self.display.state("configuration", "asked for again", reason="403")
            asyncio.get_running_loop().call_soon(driver.register_refused)
        else:
            self._settle()

    # --- the RCS service ---------------------------------------------------------------------------------------------

    def _want(self, configuration: RcsConfiguration | None) -> None:
        """What is to run from now on; one task brings it about."""
        self._wanted = configuration
        if self._work is None or self._work.done():
            self._work = self._errands.create_task(self._bring_about(), name="RCS service")

    async def _bring_about(self) -> None:
        while self._wanted is not (self._ims.configuration if self._ims is not None else None):
            configuration = self._wanted
            if await self._stays(configuration):
                continue
            await self._close_ims()
            if configuration is None:
                break
            try:
                await self._open_ims(configuration)
            except (UnusableConfiguration, TransportError) as error:
                _log.warning("%s: RCS cannot start: %s", self.name, error)
                self.display.show(Shown.NOTICE, text=f"RCS cannot start: {error}")
                await self._close_ims()
                self._wanted = None
        self._work = None  # else the task would be kept as long as the phone
        self._settle()

    async def _stays(self, configuration: RcsConfiguration | None) -> bool:
        """Whether the service goes on as it is: only the encryption part is another, such as a fresh proof."""
        ims, encryption = self._ims, self.encryption
        if ims is None or configuration is None or encryption is None or not self.is_registered:
            return False
        if not ims.configuration.differs_in_encryption_only(configuration):
            return False
        ims.configuration = configuration
        await encryption.configured(configuration)
        return True

    async def _open_ims(self, configuration: RcsConfiguration) -> None:
        self._boots += 1
        encryption = self.encryption if configuration.encryption is not None else None
        if encryption is not None:
            await encryption.configured(configuration)
        elif self.encryption is not None:
            self.encryption.unconfigured()
        ims = ImsService(
            self.config,
            configuration,
            self._messenger,
            self._inbox,
            network=self._network,
            clock=self._clock,
            tokens=self._tokens.child(f"ims {self._boots}"),  # a registration of its own, with Call-IDs of its own
            trace=self._trace,
            names=self._names,
            usim=self._usim,
            errands=self._errands,
            configuration_stale=self._configuration_stale,
            encryption=encryption,
        )
        self._ims = ims
        await ims.open()
        await ims.registration.first_verdict(self.config.ready_within_s)

    async def _close_ims(self) -> None:
        ims, self._ims = self._ims, None
        if ims is not None:
            await ims.close()

    async def _stop_work(self) -> None:
        work, self._work = self._work, None
        if work is not None and not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _settle(self) -> None:
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(None)

    def _make_parts(self) -> None:
        """All that a factory reset makes anew."""
        config = self.config
        self._messenger = self._new_messenger()
        self._inbox = Inbox(self._messenger, ReceiptSender(config.policy), config.reads_after_s)
        self._cs = self._new_circuit_switched_link()
        self._messenger.sms = self._new_sms_service()
        self.encryption = self._new_encryption()
        self._provisioning = self._new_provisioning()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _new_messenger(self) -> Messenger:
        return Messenger(
            self.config.policy,
            self._alarms,
            self._tokens.child("messages"),
            self.display,
            register_anew=self._register_anew,
            configuration_doubted=self._configuration_stale,
        )

    def _new_encryption(self) -> PhoneEncryption | None:
        profile, http = self.config.policy.e2ee, self._http
        if profile is None or http is None:
            return None
        tokens = self._tokens.child("encryption")
        return PhoneEncryption(
            profile,
            self._messenger,
            self._inbox,
            http,
            self._errands,
            tokens,
            proof_refused=self._proof_refused,
            key_log=self._key_log,
        )

    def _proof_refused(self) -> None:
        """The key service does not take the proof in the configuration: another device of the number was configured
        since, or the key is new."""
        driver = self._driver
        if driver is not None:
            self.display.state("configuration", "asked for again", reason="the key service refused its proof")
            asyncio.get_running_loop().call_soon(driver.proof_refused)

    def _new_sms_service(self) -> SmsService:
        config, messenger = self.config, self._messenger
        service = SmsService(
            config.policy.sms,
            config.service_centre,
            self._alarms,
            self._tokens.child("sms"),
            SmsUser(
                left=_left_in_clear,
                taken_back=lambda owner: messenger.lock_came(owner) if isinstance(owner, SentMessage) else None,
                accepted=self._sms_accepted,
                failed=self._sms_failed,
                delivered=lambda owner: messenger.sms_delivered(owner) if isinstance(owner, SentMessage) else None,
                text_received=self._sms_received,
                data_received=self._data_received,
            ),
        )
        if self._cs is not None:
            service.use_circuit_switched(self._cs)
        return service

    def _new_circuit_switched_link(self) -> CircuitSwitchedLink | None:
        config = self.config
        if config.smsc is None:
            return None
        return CircuitSwitchedLink(
            config.name,
            config.imsi,
            config.host,
            config.smsc,
            self._alarms,
            self.display,
            network=self._network,
            clock=self._clock,
            trace=self._trace,
        )

    def _register_anew(self) -> None:
        if self.is_on and self._ims is not None:
            self._messenger.own.is_trying = True
            self._ims.registration.register_anew()

    def _sms_accepted(self, owner: object, path: SmsPath) -> None:
        if isinstance(owner, SentMessage):
            self.display.state("SMS", "accepted", reason=f"over {path.name}", message_id=owner.id)
            self._messenger.sms_accepted(owner)

    def _sms_failed(self, owner: object, cause: int | None) -> None:
        if isinstance(owner, SentMessage):
            reason = "no answer" if cause is None else f"RP cause {cause}"
            self.display.state("SMS", "failed", reason=reason, message_id=owner.id)
            self._messenger.sms_failed(owner)

    def _sms_received(self, text: TextReceived) -> None:
        if self._driver is not None and self._driver.sms_received(text.text, 0):
            text = replace(text, text=_DIGIT.sub("•", text.text))  # the user sees that it came; no trace has the code
        self._inbox.text_received(text)

    def _data_received(self, data: DataReceived) -> None:
        if self._driver is not None:
            self._driver.sms_received(data.content, data.port)

    def __repr__(self) -> str:
        return f"<Phone {self.name} {'on' if self.is_on else 'off'}{', registered' if self.is_registered else ''}>"


def _dialled(peer: str | Phone) -> str:
    """What the user dials; all that one phone may know of another."""
    return peer.number if isinstance(peer, Phone) else peer


def _left_in_clear(owner: object) -> None:
    """An SMS, or a part of one, is on its way."""
    if isinstance(owner, SentMessage):
        owner.went_in_clear = True

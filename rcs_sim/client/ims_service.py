"""The RCS service of a phone while a configuration is in force: user agent, registration, what stands on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Network
from ims_core.transport.name_table import NameTable
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.aka import Usim
from ims_core.wire.sip.transaction import TimerConfig
from rcs_sim.client.account import account_of
from rcs_sim.client.authenticator import Authenticator
from rcs_sim.client.calls import Calls
from rcs_sim.client.chat_session import SessionTimes
from rcs_sim.client.contact import feature_params
from rcs_sim.client.discovery import Discovery
from rcs_sim.client.e2ee.phone_encryption import PhoneEncryption
from rcs_sim.client.errands import Errands
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.media_port import MediaPort
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.pager import wishes_of
from rcs_sim.client.pager_sender import PagerSender
from rcs_sim.client.phone_config import PhoneConfig
from rcs_sim.client.registration import Registration
from rcs_sim.client.registration_service import RegistrationListener, RegistrationService
from rcs_sim.client.session_offer import OfferRules
from rcs_sim.client.session_sender import SessionSender
from rcs_sim.client.session_service import SessionService
from rcs_sim.client.user_agent import UserAgent
from rcs_sim.devices.policy import SessionPolicy
from rcs_sim.e2ee.content_types import ACCEPT_WRAPPED_TYPES
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["ImsService", "session_times"]


class ImsService:
    """Opened with a configuration, closed when it is not in force any more. The messages outlive it."""

    __slots__ = ("_encryption", "_features", "_inbox", "_messenger", "configuration", "registration", "sessions", "ua")

    def __init__(
        self,
        config: PhoneConfig,
        configuration: RcsConfiguration,
        messenger: Messenger,
        inbox: Inbox,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        usim: Usim | None,
        errands: Errands,
        configuration_stale: Callable[[], None],
        encryption: PhoneEncryption | None = None,
    ) -> None:
        """*encryption* is None for a phone without, or a configuration without. Raises UnusableConfiguration."""
        policy = config.policy
        account = account_of(configuration, policy.registration, config.imei)
        authenticator = Authenticator(
            account,
            usim,
            echoes_opaque=policy.registration.echoes_opaque,
            copies_qop=policy.registration.copies_qop_verbatim,
        )
        self.configuration = configuration
        self._messenger = messenger
        self._inbox = inbox
        self._encryption = encryption
        self.ua = UserAgent(
            policy,
            account,
            authenticator,
            name=config.name,
            host=config.host,
            port=config.sip_port,
            timers=config.timers or _timers_of(configuration),
            network=network,
            clock=clock,
            tokens=tokens,
            trace=trace,
            names=names,
        )
        self.ua.wall_clock = messenger.alarms.calendar
        self._features = feature_params(policy, configuration)
        self.ua.features = self._features + ("" if encryption is None else encryption.contact_params)
        self.registration = self._new_registration(configuration_stale)
        self.sessions = self._new_sessions(config, network, clock, trace, errands)

    def _new_registration(self, configuration_stale: Callable[[], None]) -> RegistrationService:
        ua, configuration, messenger = self.ua, self.configuration, self._messenger
        machine = Registration(
            ua.account,
            ua.policy,
            ua.authenticator,
            ua.tokens,
            retry_base_s=float(configuration.reg_retry_base_s),
            retry_max_s=float(configuration.reg_retry_max_s),
        )
        listener = RegistrationListener(self._registered, self._unregistered, configuration_stale)
        return RegistrationService(machine, ua, messenger.alarms, messenger.display, listener)

    def _new_sessions(
        self, config: PhoneConfig, network: Network, clock: Clock, trace: Trace, errands: Errands
    ) -> SessionService | None:
        """The message sessions; None for a device without."""
        policy, configuration, messenger = config.policy.session, self.configuration, self._messenger
        if not policy.supported:
            return None
        if self._encryption is not None:
            policy = _with_encrypted_types(policy)
        rules, display = OfferRules.of(policy, configuration), messenger.display
        media = MediaPort(
            self.ua,
            rules,
            host=config.host,
            network=network,
            clock=clock,
            trace=trace,
            errands=errands,
            display=display,
            is_encrypted=config.encrypts_media,
        )
        by_itself = policy.accepts_by_itself
        sessions = SessionService(
            messenger.alarms,
            display,
            rules,
            session_times(policy, configuration),
            media,
            SessionSender(
                wishes_of(config.policy.messaging, allows_display=configuration.display_notification_switch == 0),
                messenger.session_outcome,
                wants_report=policy.requests_report,
            ),
            self._inbox,
            accepts_by_itself=configuration.auto_accept if by_itself is None else by_itself,
            accepts_after_s=config.accepts_after_s,
        )
        sessions.calls = Calls(self.ua, messenger.alarms, sessions.invited)
        return sessions

    async def open(self) -> None:
        """Listens and sends the first REGISTER. Raises TransportError or UnusableConfiguration."""
        ua, messenger, configuration = self.ua, self._messenger, self.configuration
        await ua.open()
        messenger.configure(configuration)
        discovery = Discovery(ua, messenger.capabilities, messenger.alarms, messenger.capability_learned)
        messenger.discovery = discovery if configuration.default_discovery == _BY_OPTIONS else None
        messenger.pager = PagerSender(
            ua,
            messenger.policy,
            configuration,
            answered=messenger.answered,
            revoke_refused=lambda message: messenger.revoke_answered(message, is_success=False),
        )
        messenger.sessions = self.sessions
        if self.sessions is not None:
            ua.calls = self.sessions.calls
            self._inbox.receipts.in_session = self.sessions.send_receipt
        ua.handlers["MESSAGE"] = self._inbox.message_received
        self._inbox.ua = ua
        if self._encryption is not None:
            self._encryption.announce = self._announce
        self._inbox.receipts.allows_display = configuration.display_notification_switch == 0
        messenger.own.is_trying = True
        self.registration.start()

    async def close(self) -> None:
        """Ends the sessions, de-registers and ends the user agent."""
        self._detach()
        if self.sessions is not None:
            self.sessions.hang_up()
        await self.registration.stop()
        await self.close_stacks()
        self._messenger.connection_gone()

    async def close_stacks(self) -> None:
        """Ends flows, transactions and connections."""
        if self.sessions is not None:
            await self.sessions.close()
        await self.ua.close()

    def lose_power(self) -> None:
        """Nothing is sent any more. `close_stacks` is still to be called before the next one opens."""
        self._detach()
        if self.sessions is not None:
            self.sessions.fall_silent()
        self.registration.lost()
        self.ua.fall_silent()
        self._messenger.connection_gone()

    def _detach(self) -> None:
        messenger = self._messenger
        messenger.own.ended()
        messenger.pager = messenger.sessions = messenger.discovery = None
        self._inbox.receipts.in_session = None
        messenger.sms.ip = None
        self._inbox.ua = self._inbox.receipts.ua = None
        if self._encryption is not None:
            self._encryption.announce = None
        messenger.link_lost()

    def _announce(self) -> None:
        """What the phone can encrypt has changed: the network and the contacts are told."""
        if self._encryption is not None:
            self.ua.features = self._features + self._encryption.contact_params
            self.registration.announce()

    def _registered(self, is_new: bool) -> None:
        messenger, receipts = self._messenger, self._inbox.receipts
        if self._inbox.ua is not self.ua:
            return  # it is being closed
        messenger.own.registered(messenger.alarms.now())
        receipts.ua = self.ua
        receipts.send_owed()
        if not is_new:
            return
        if messenger.policy.sms.over_ip:
            messenger.sms.ip = self.ua
        messenger.registered()
        if self._encryption is not None:
            self._encryption.registered()

    def _unregistered(self, reason: str) -> None:
        messenger = self._messenger
        if self._inbox.ua is not self.ua:
            return
        messenger.own.is_trying = self.registration.is_trying
        messenger.own.lost(messenger.alarms.now())
        messenger.sms.ip = self._inbox.receipts.ua = None
        messenger.link_lost()
        if self.sessions is not None:
            self.sessions.link_lost()


def session_times(policy: SessionPolicy, configuration: RcsConfiguration) -> SessionTimes:
    """Times of a message session, of the device and the document."""
    idle_s = float(configuration.chat_idle_s) if policy.idle_s is None else policy.idle_s
    return _session_times(policy, idle_s if idle_s > 0 else SessionTimes().idle_s)


@lru_cache(64)
def _session_times(policy: SessionPolicy, idle_s: float) -> SessionTimes:
    """Shared by the phones of a kind."""
    return SessionTimes(
        invite_guard_s=policy.invite_guard_s,
        ringing_guard_s=policy.ringing_guard_s,
        connect_s=policy.connect_s,
        idle_s=idle_s,
    )


@lru_cache(64)
def _with_encrypted_types(policy: SessionPolicy) -> SessionPolicy:
    """Sessions that carry the encryption plane too (digest RCC.16 §14.1); phones of one kind share the value."""
    types = tuple(map(str, ACCEPT_WRAPPED_TYPES))
    return replace(
        policy,
        accept_wrapped_types=(*policy.accept_wrapped_types, *types),
        basic_wrapped_types=(*policy.basic_wrapped_types, *types),
    )


def _timers_of(configuration: RcsConfiguration) -> TimerConfig:
    """Timer_T1, T2 and T4 of the document (digest §9.4); values that make no sense give those of TS 24.229."""
    t1, t2, t4 = configuration.timer_t1_ms, configuration.timer_t2_ms, configuration.timer_t4_ms
    if not 0 < t1 <= t2:
        t1, t2, t4 = 2000, 16_000, 17_000
    return _timer_config(t1, t2, t4)


_BY_OPTIONS = 0  # defaultDisc: 1 is presence, which this phone does not have, 2 none at all


@lru_cache(64)
def _timer_config(t1_ms: int, t2_ms: int, t4_ms: int) -> TimerConfig:
    """Shared by the phones of a carrier."""
    return TimerConfig(t1_s=t1_ms / 1000, t2_s=t2_ms / 1000, t4_s=t4_ms / 1000)

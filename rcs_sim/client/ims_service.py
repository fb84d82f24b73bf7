"""The RCS service of a phone while a configuration is in force: user agent, registration, what stands on them."""

from __future__ import annotations

from collections.abc import Callable
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
from rcs_sim.client.contact import feature_params
from rcs_sim.client.discovery import Discovery
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.pager_sender import PagerSender
from rcs_sim.client.phone_config import PhoneConfig
from rcs_sim.client.registration import Registration
from rcs_sim.client.registration_service import RegistrationListener, RegistrationService
from rcs_sim.client.user_agent import UserAgent
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["ImsService"]


class ImsService:
    """Opened with a configuration, closed when it is not in force any more. The messages outlive it."""

    __slots__ = ("_inbox", "_messenger", "configuration", "registration", "ua")

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
        configuration_stale: Callable[[], None],
    ) -> None:
        """Raises UnusableConfiguration."""
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
        self.ua.features = feature_params(policy, configuration)
        self.registration = self._new_registration(configuration_stale)

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
        ua.handlers["MESSAGE"] = self._inbox.message_received
        self._inbox.ua = ua
        self._inbox.receipts.allows_display = configuration.display_notification_switch == 0
        messenger.own.is_trying = True
        self.registration.start()

    async def close(self) -> None:
        """De-registers and ends the user agent."""
        self._detach()
        await self.registration.stop()
        await self.ua.close()
        self._messenger.connection_gone()

    def lose_power(self) -> None:
        """Nothing is sent any more. `UserAgent.close` is still to be called before the next one opens."""
        self._detach()
        self.registration.lost()
        self.ua.fall_silent()
        self._messenger.connection_gone()

    def _detach(self) -> None:
        messenger = self._messenger
        messenger.own.ended()
        messenger.pager = messenger.discovery = None
        messenger.sms.ip = None
        self._inbox.ua = self._inbox.receipts.ua = None
        messenger.link_lost()

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

    def _unregistered(self, reason: str) -> None:
        messenger = self._messenger
        if self._inbox.ua is not self.ua:
            return
        messenger.own.is_trying = self.registration.is_trying
        messenger.own.lost(messenger.alarms.now())
        messenger.sms.ip = self._inbox.receipts.ua = None
        messenger.link_lost()


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

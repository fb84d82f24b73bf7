"""Configuration of a carrier's messaging server. Names and defaults of timers and limits are those of digest §18."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ims_core.transport.link import Address
from rcs_sim.server.mls_rules import MlsFocusRules

__all__ = ["ClientRule", "CpimFrom", "MessagingServerConfig", "OfflineOptions"]


class CpimFrom(Enum):
    """What becomes of CPIM From in a pager message to a device."""

    KEEP = "keep"  # the sender's, which may be anonymous
    ASSERTED = "asserted"  # the asserted identity as a bare URI, and the prefix of RFC 5438 headers is "imdn"


class OfflineOptions(Enum):
    """What OPTIONS to a subscriber without registered device gets (D02)."""

    UNAVAILABLE = "480"
    AUTOMATA = "automata"  # 200 with the tags of the last registration and automata


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRule:
    """Treatment of some devices. It applies where all that it names holds; of several, the first that applies.

    *has_instance*: whether the binding has a `+sip.instance`; *user_agent*: a part of User-Agent, any case."""

    cpim_from: CpimFrom
    has_instance: bool | None = None
    user_agent: str = ""

    def applies_to(self, instance: str, user_agent: str) -> bool:
        if self.has_instance is not None and self.has_instance is not bool(instance):
            return False
        return self.user_agent.lower() in user_agent.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagingServerConfig:
    """One messaging server. *scscf* is the Route URI of the S-CSCF for requests that continue no dialog; *focus_hosts*
    are hosts whose users are groups, which know no revocation and are not interworked.

    Requests come from *trusted_hosts* only (the S-CSCF): what they assert is believed. Empty: from anybody."""

    name: str
    domain: str
    listen: tuple[Address, ...]
    scscf: str
    trusted_hosts: frozenset[str] = frozenset()
    focus_hosts: tuple[str, ...] = ()
    local_host: str = ""  # where SM links leave from; the first listening host by default

    has_store_and_forward: bool = True
    store_days: float = 7.0
    store_max_per_user: int = 1000
    store_max_total: int = 1_000_000
    store_max_octets_per_user: int = 64 * 1024 * 1024
    store_max_octets: int = 2 * 1024 * 1024 * 1024
    redeliver_min_s: float = 30.0
    redeliver_max_errors: int = 10  # server errors in a row after which a device is no longer offered a message
    restart_wait_s: float = 2.0  # before stored messages go to devices that were registered before a restart
    max_known_devices: int = 16  # per user, registered or not; each message is kept until all of them have it

    relay_answer_s: float = 31.0  # below timer F of the hop before, so that the sender learns the answer
    device_answer_s: float = 20.0
    options_answer_s: float = 4.0
    options_silence_s: float = 300.0  # a device that left OPTIONS unanswered is not asked again for so long
    retry_after_s: int = 5

    accepts_for_absent: bool = True  # takes sessions to users of whom no device does, and stores what comes
    msrp_tls: bool = False  # what this server offers; an offer is answered as it came
    session_max_octets: int = 1024 * 1024  # of one message in a session (chat.max_message_bytes)
    large_max_octets: int = 10 * 1024 * 1024  # of a message in large message mode
    large_idle_s: float = 600.0  # after which a session of that mode is ended that nobody ended
    session_answer_s: float = 5.0  # for the user's device to take a message before it is delivered otherwise
    session_slowest_octets_per_s: int = 16 * 1024  # a longer message gets so much more time
    session_fork_s: float = 25.0  # for a device to answer an INVITE: less than chat.invite_guard_s of whoever waits
    session_ringing_s: float = 60.0  # once one rings (chat.ringing_s)
    session_onward_s: float = 75.0  # for the other side to answer an INVITE: longer than what it waits itself
    session_drain_s: float = 10.0  # for messages that are under way when a session ends
    session_max_per_user: int = 100
    session_max_total: int = 20_000
    session_max_calls: int = 100_000  # legs, those that have ended included: each is remembered for half a minute
    session_max_pending: int = 8  # INVITEs of one sender to one recipient without an answer
    session_rate_per_s: float = 50.0  # INVITEs of one sender
    session_rate_burst: int = 500
    session_expires_s: int = 1800
    session_min_se_s: int = 90
    chat_idle_s: float = 300.0  # after which a session ends that this server holds for a user

    pager_max_octets: int = 1300
    rate_per_s: float = 1000.0  # messages of one sender
    rate_burst: int = 2000
    max_exchanges: int = 50_000

    duplicate_memory_s: float = 86400.0
    duplicate_memory_size: int = 100_000

    offline_options: OfflineOptions = OfflineOptions.UNAVAILABLE
    has_interworking: bool = False
    interworking_after_s: float = 0.0  # that a text waits for an RCS device before it goes by SMS; 0: for ever
    interworking_max_parts: int = 10
    interworking_answer_s: float = 10.0  # for the SMSC to take all parts of a text
    smsc_number: str = ""  # service centre address of the own SMSC, "+12025550199"
    interworking_memory_s: float = 7 * 86400.0  # how long a status report is waited for
    mls_rules: MlsFocusRules | None = None  # how it arbitrates encrypted conversations; None: they pass like any
    numbers_without_focus: tuple[str, ...] = ()  # prefixes of the carriers, this one included, that arbitrate nothing
    client_rules: tuple[ClientRule, ...] = (ClientRule(has_instance=False, cpim_from=CpimFrom.ASSERTED),)

    @property
    def host(self) -> str:
        """Own IP address."""
        return self.local_host or (self.listen[0].host if self.listen else "127.0.0.1")

    @property
    def falls_back(self) -> bool:
        """Whether this network sends as SMS what the devices of its RCS users do not take: `msgfallback`."""
        return self.has_interworking and self.interworking_after_s > 0

    def cpim_from(self, instance: str, user_agent: str) -> CpimFrom:
        """How CPIM From is written for that device."""
        for rule in self.client_rules:
            if rule.applies_to(instance, user_agent):
                return rule.cpim_from
        return CpimFrom.KEEP

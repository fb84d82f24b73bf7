"""What differs between handsets, as data. The client reads these values and never asks which platform it is.

Profiles are YAML mappings of `DevicePolicy` in profiles/devices/; a field that a profile leaves out has the default
given here, which is what the specifications ask for. A word that no field knows is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from rcs_sim.e2ee.profile import E2eeProfile
from rcs_sim.wire.message_reference import ReferenceDialect
from rcs_sim.wire.reaction_text import ReactionTextForm

__all__ = [
    "CapabilityPolicy",
    "Consent",
    "CpimIdentity",
    "DevicePolicy",
    "FallbackPolicy",
    "FeaturePolicy",
    "MediaSecurity",
    "MessagingPolicy",
    "ProvisioningPolicy",
    "ReceiptTarget",
    "ReferencePolicy",
    "ReferenceUse",
    "RegistrationPolicy",
    "RequestUriForm",
    "SessionPolicy",
    "SignallingTransport",
    "SmsPolicy",
    "SoftwareIdentity",
]

_FORBID_UNKNOWN: dict[str, Any] = {"extra": "forbid"}  # read by pydantic when a profile is loaded


class SignallingTransport(Enum):
    """Which transport the phone dials its P-CSCF with: the document's choice (``transportProto``) or always one."""

    DOCUMENT = "document"
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class RequestUriForm(Enum):
    """Request-URI and To of what is sent to a telephone number (digest §4.2)."""

    TEL = "tel"  # tel:+E164
    SIP_PHONE = "sip-phone"  # sip:+E164@<home>;user=phone
    SIP = "sip"  # sip:+E164@<home>


class CpimIdentity(Enum):
    """CPIM From and To in one-to-one pager messages (digest §4.3)."""

    REAL = "real"
    ANONYMOUS = "anonymous"


class ReceiptTarget(Enum):
    """Where receipts are sent: the asserted sender, or what the CPIM From of the message says."""

    ASSERTED_IDENTITY = "asserted-identity"
    CPIM_FROM = "cpim-from"


class MediaSecurity(Enum):
    """What message sessions are offered over: the document's choice (``psMedia``) or always one. What is offered by the
    other side is answered as it is."""

    DOCUMENT = "document"
    PLAIN = "plain"  # TCP/MSRP
    TLS = "tls"  # TCP/TLS/MSRP


class Consent(Enum):
    """Whether a message that RCS did not deliver goes out again as SMS."""

    AUTOMATIC = "automatic"
    ASK = "ask"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareIdentity:
    """Names in User-Agent and in autoconfiguration requests (digest §1.2, §2.6).

    terminal_vendor      at most 4 characters in autoconfiguration requests
    terminal_model       at most 10 characters
    terminal_sw_version  at most 10 characters
    client_vendor        at most 4 characters
    client_version       at most 15 characters
    user_agent           the whole User-Agent; None builds the ``IM-client/OMA1.0`` form from the others
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    terminal_vendor: str = "SimV"
    terminal_model: str = "SimPhone"
    terminal_sw_version: str = "1"
    client_vendor: str = "RSim"
    client_version: str = "RcsSim-0.1"
    user_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningPolicy:
    """Autoconfiguration (RCC.14, digest §1).

    rcs_version           ``rcs_version`` parameter
    rcs_profiles          ``rcs_profile`` parameters, in order
    provisioning_version  ``provisioning_version`` parameter; None leaves it out
    otp_port              port for the one-time password; 0 accepts an ordinary text SMS
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    rcs_version: str = "11.0"
    rcs_profiles: tuple[str, ...] = ("UP_2.4",)
    provisioning_version: str | None = "5.0"
    otp_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationPolicy:
    """IMS registration and the headers of every request (TS 24.229 §5.1, digest §2).

    transport                     transport toward the P-CSCF
    uses_document_port            False dials 5060 (5061 for TLS) whatever port the document names
    requested_expiry_s            Expires of REGISTER
    sends_instance_id             ``+sip.instance`` in Contact (RFC 5626)
    offers_outbound               ``reg-id`` and option tag ``outbound`` (RFC 5626)
    offers_gruu                   option tag ``gruu`` (RFC 5627)
    offers_keep_alive             ``keep`` in Via (RFC 6223)
    sends_allow                   Allow in REGISTER
    access_network_info           value of P-Access-Network-Info; None sends none
    subscribes_to_own_state       SUBSCRIBE to the ``reg`` event after the 200 (RFC 3680)
    new_from_tag_with_credentials the REGISTER that answers a challenge has a new From tag
    echoes_opaque                 the ``opaque`` of a challenge is returned, as RFC 7616 §3.4 demands
    copies_qop_verbatim           ``qop`` is copied from the challenge, list or not
    sends_proxy_route             requests carry a Route with the P-CSCF
    uses_service_route            Service-Route is stored and sent as Route (RFC 3608)
    offers_security_agreement     Security-Client and option tag ``sec-agree`` (RFC 3329); no ESP is run
    deregisters_in_new_call       the de-REGISTER has a Call-ID of its own
    deregisters_bare_contact      its Contact has no feature tags
    awaits_deregistration         False closes the connection at once, without waiting for the 200
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    transport: SignallingTransport = SignallingTransport.DOCUMENT
    uses_document_port: bool = True
    requested_expiry_s: int = 600_000
    sends_instance_id: bool = True
    offers_outbound: bool = True
    offers_gruu: bool = True
    offers_keep_alive: bool = True
    sends_allow: bool = True
    access_network_info: str | None = "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100010000101"
    subscribes_to_own_state: bool = True
    new_from_tag_with_credentials: bool = False
    echoes_opaque: bool = True
    copies_qop_verbatim: bool = False
    sends_proxy_route: bool = True
    uses_service_route: bool = True
    offers_security_agreement: bool = False
    deregisters_in_new_call: bool = False
    deregisters_bare_contact: bool = False
    awaits_deregistration: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePolicy:
    """Service tags of REGISTER and OPTIONS (digest §3.3). A service that the document switches off is not announced.

    icsi  values of ``+g.3gpp.icsi-ref`` without the prefix ``urn:urn-7:3gpp-service.``
    iari  values of ``+g.3gpp.iari-ref`` without the prefix ``urn:urn-7:3gpp-application.``
    tags  further Contact parameters, as written in a Contact
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    icsi: tuple[str, ...] = (
        "ims.icsi.oma.cpm.msg",
        "ims.icsi.oma.cpm.deferred",
        "ims.icsi.oma.cpm.systemmsg",
    )
    iari: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("+g.gsma.rcs.msgrevoke",)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagingPolicy:
    """One-to-one messages in pager mode, receipts and typing (digest §4, §5).

    sends_pager            standalone messages in pager mode are sent (``standaloneMsgAuth`` must allow them too)
    request_uri            form of Request-URI and To
    cpim_identity          CPIM From and To of messages; those of receipts are anonymous
    answers_with_to_tag    responses carry a To tag, as RFC 3261 §8.2.6.2 demands
    receipt_target         where receipts go
    accepts_bare_imdn      an IMDN body without CPIM is understood
    unanswered_methods     requests that get no response at all
    requests_display       ``display`` is asked for
    requests_failure       ``negative-delivery`` is asked for
    requests_interworking  ``interworking`` is asked for
    sends_delivered        delivered receipts are sent when asked for
    sends_displayed        displayed receipts are sent when asked for
    types_in_pager_mode    is-composing documents are sent without a session
    tells_typing_idle_s    seconds without a key press until ``idle``
    typing_refresh_s       refresh interval, at least 60 s (RFC 3994 §4)
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    sends_pager: bool = True
    request_uri: RequestUriForm = RequestUriForm.TEL
    cpim_identity: CpimIdentity = CpimIdentity.REAL
    answers_with_to_tag: bool = True
    receipt_target: ReceiptTarget = ReceiptTarget.ASSERTED_IDENTITY
    accepts_bare_imdn: bool = True
    unanswered_methods: tuple[str, ...] = ()
    requests_display: bool = True
    requests_failure: bool = False
    requests_interworking: bool = True
    sends_delivered: bool = True
    sends_displayed: bool = True
    types_in_pager_mode: bool = False
    tells_typing_idle_s: float = 15.0
    typing_refresh_s: int = 60


class ReferenceUse(Enum):
    """Where a device has a feature of a later Universal Profile: MLS came with one that has all (digest §11)."""

    ALWAYS = "always"
    SEALED = "sealed"  # in encrypted conversations
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePolicy:
    """Replies, reactions, edits and recalls (digest §5.5, §10.3, §10.4).

    reads               Reference headers are understood; else what they stand beside is shown as a text
    replies             answers name the message that they answer
    edits               texts are edited, and edits of the peer are shown as such
    recalls             messages are recalled, and those that the peer recalls are gone
    reacts_by_text      reactions go as text, whatever the peer can do
    text_form           the form of that text; also for peers without Reference headers. None sends them no reactions
    reads_text          a text that reads as a reaction is taken as one if it quotes exactly one recent message
    quoted_among        the number of messages that are recent
    dialects            which headers stand beside reactions, edits and recalls
    reply_dialects      the same beside replies
    change_within_s     how long after a message its author may edit or recall it
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    reads: bool = True
    replies: ReferenceUse = ReferenceUse.ALWAYS
    edits: ReferenceUse = ReferenceUse.ALWAYS
    recalls: ReferenceUse = ReferenceUse.ALWAYS
    reacts_by_text: bool = False
    text_form: ReactionTextForm | None = ReactionTextForm.EMOJI_TO
    reads_text: bool = True
    quoted_among: int = 50
    dialects: tuple[ReferenceDialect, ...] = (ReferenceDialect.GSMA,)
    reply_dialects: tuple[ReferenceDialect, ...] = (ReferenceDialect.GSMA,)
    change_within_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """Chat sessions and large messages over MSRP (digest §4.5, §4.6, RFC 4975).

    supported              message sessions are made and taken (``ChatAuth`` must allow them too)
    replaces_pager         with ``ChatAuth`` every message goes in a session, none in pager mode
    security               TLS or plain TCP in offers; ``plain`` refuses offers for TLS
    listens                connections are accepted; else the phone is always the side that connects
    answers_active         an offer that leaves the choice is answered ``a=setup:active``
    has_cema               ``a=msrp-cema`` (RFC 6714)
    accept_types           ``a=accept-types``
    accept_wrapped_types   ``a=accept-wrapped-types``
    basic_wrapped_types    the same in the offer that follows a refusal of the types
    accepts_by_itself      in place of ``AutAccept``; None takes the document's
    idle_s                 in place of ``TimerIdle``; None takes the document's
    expires_s              Session-Expires that is asked for (RFC 4028)
    refreshes              the session is refreshed when it is this side's turn
    supported_options      option tags of Supported in INVITE
    acknowledges_reliably  reliable provisional responses get their PRACK (RFC 3262)
    sends_conversation_id  INVITE has Conversation-ID and Contribution-ID
    requests_report        Success-Report ``yes`` on content
    chunk_octets           longest body of a chunk
    types_in_session       is-composing documents are sent in sessions
    writes_bare_first_send the first request of a session is a SEND without body and without Byte-Range
    writes_type_first      Content-Type stands before Success-Report, Failure-Report and Byte-Range
    drops_unranged         a SEND without Byte-Range is answered 200 and dropped
    invite_guard_s         longest wait for any answer to INVITE
    ringing_guard_s        longest time that either side rings
    connect_s              longest time from the answer until the session is bound
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    supported: bool = True
    replaces_pager: bool = False
    security: MediaSecurity = MediaSecurity.DOCUMENT
    listens: bool = True
    answers_active: bool = True
    has_cema: bool = True
    accept_types: tuple[str, ...] = ("message/cpim", "application/im-iscomposing+xml")
    accept_wrapped_types: tuple[str, ...] = (
        "text/plain",
        "message/imdn+xml",
        "application/vnd.gsma.rcs-ft-http+xml",
        "application/vnd.gsma.rcspushlocation+xml",
    )
    basic_wrapped_types: tuple[str, ...] = ("text/plain", "message/imdn+xml")
    accepts_by_itself: bool | None = None
    idle_s: float | None = None
    expires_s: int = 1800
    refreshes: bool = True
    supported_options: tuple[str, ...] = ("timer",)
    acknowledges_reliably: bool = True
    sends_conversation_id: bool = True
    requests_report: bool = False
    chunk_octets: int = 2048
    types_in_session: bool = True
    writes_bare_first_send: bool = False
    writes_type_first: bool = False
    drops_unranged: bool = False
    invite_guard_s: float = 32.0
    ringing_guard_s: float = 60.0
    connect_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityPolicy:
    """Capability discovery by OPTIONS (RCC.07 §2.6, digest §3.1).

    asks_on_open   an OPTIONS is sent when a conversation is opened and the cache is stale
    asks_on_send   an OPTIONS is sent before a message when the entry is older than ``msgCapValidity``
    answer_wait_s  longest time that the first message to an unknown contact waits for the answer; 0 never waits
    guard_s        shortest time between two queries to one contact
    error_hold_s   no query to a contact for so long after 403, 503 or silence
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    asks_on_open: bool = True
    asks_on_send: bool = False
    answer_wait_s: float = 4.0
    guard_s: float = 1.0
    error_hold_s: float = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsPolicy:
    """Short messages (TS 24.341, TS 23.040, digest §8.7).

    over_ip                    SMS over IP is registered (``+g.3gpp.smsip``) and preferred
    requests_status_report     TP-SRR is set
    reference_bits             8 or 16: size of the concatenation reference
    storage_messages           short messages that fit into the store; None is without limit
    forbids_forking            ``Request-Disposition: no-fork`` on SMS over IP
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    over_ip: bool = True
    requests_status_report: bool = True
    reference_bits: int = 8
    storage_messages: int | None = None
    forbids_forking: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """From RCS to SMS (digest §8).

    consent                 what happens when RCS refused or did not deliver a message
    consent_when_rcs_down   the same while the phone itself has no RCS
    revokes                 undelivered messages are revoked when ``ChatRevokeTimer`` runs out
    revoke_timer_s          in place of ``ChatRevokeTimer``; None takes the document's
    relies_on_store         the network stores for offline users: 408 and 480 wait for the receipt
    max_sms_parts           longest text that goes as SMS
    merge_window_s          two copies of a text, one by RCS and one by SMS, are one message within this time
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    consent: Consent = Consent.AUTOMATIC
    consent_when_rcs_down: Consent = Consent.AUTOMATIC
    revokes: bool = True
    revoke_timer_s: float | None = None
    relies_on_store: bool = True
    max_sms_parts: int = 10
    merge_window_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePolicy:
    """One kind of handset. *name* is the profile's; every other field is a group documented at its class. *e2ee* None:
    the device has no end-to-end encryption."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID_UNKNOWN
    name: str
    software: SoftwareIdentity = field(default_factory=SoftwareIdentity)
    provisioning: ProvisioningPolicy = field(default_factory=ProvisioningPolicy)
    registration: RegistrationPolicy = field(default_factory=RegistrationPolicy)
    features: FeaturePolicy = field(default_factory=FeaturePolicy)
    messaging: MessagingPolicy = field(default_factory=MessagingPolicy)
    references: ReferencePolicy = field(default_factory=ReferencePolicy)
    session: SessionPolicy = field(default_factory=SessionPolicy)
    capability: CapabilityPolicy = field(default_factory=CapabilityPolicy)
    sms: SmsPolicy = field(default_factory=SmsPolicy)
    fallback: FallbackPolicy = field(default_factory=FallbackPolicy)
    e2ee: E2eeProfile | None = None

    @property
    def user_agent(self) -> str:
        """User-Agent of SIP and HTTP requests (digest §2.6)."""
        software = self.software
        if software.user_agent is not None:
            return software.user_agent
        terminal = f"{software.terminal_vendor}/{software.terminal_model}-{software.terminal_sw_version}"
        return f"IM-client/OMA1.0 {terminal} {software.client_vendor}/{software.client_version}"

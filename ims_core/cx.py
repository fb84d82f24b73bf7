"""Reference points Cx and Sh: what CSCFs and application servers ask the HSS (TS 29.228, TS 29.328).

The calls are typed and synchronous: the HSS is in the process. Secrets appear as `Secret` only."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from ims_core.service_profile import ServiceProfile
from ims_core.store.subscribers import AuthenticationScheme, SequenceNumber
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import AuthenticationVector
from ims_core.wire.sip.memo import slot_setters

__all__ = [
    "AssignmentType",
    "Cx",
    "CxResult",
    "DeregistrationReason",
    "LocationInfoAnswer",
    "MultimediaAuthAnswer",
    "ServerAssignmentAnswer",
    "Sh",
    "ShUser",
    "UserAuthorizationAnswer",
    "UserProfile",
    "UserStateObserver",
]


class CxResult(enum.Enum):
    """Result codes (TS 29.228 §6.2, TS 29.229 §6.2)."""

    SUCCESS = "DIAMETER_SUCCESS"
    FIRST_REGISTRATION = "DIAMETER_FIRST_REGISTRATION"
    SUBSEQUENT_REGISTRATION = "DIAMETER_SUBSEQUENT_REGISTRATION"
    UNREGISTERED_SERVICE = "DIAMETER_UNREGISTERED_SERVICE"
    USER_UNKNOWN = "DIAMETER_ERROR_USER_UNKNOWN"
    IDENTITIES_DONT_MATCH = "DIAMETER_ERROR_IDENTITIES_DONT_MATCH"
    IDENTITY_NOT_REGISTERED = "DIAMETER_ERROR_IDENTITY_NOT_REGISTERED"
    ROAMING_NOT_ALLOWED = "DIAMETER_ERROR_ROAMING_NOT_ALLOWED"
    AUTHORIZATION_REJECTED = "DIAMETER_AUTHORIZATION_REJECTED"
    UNABLE_TO_COMPLY = "DIAMETER_UNABLE_TO_COMPLY"  # the HSS is out of order, which a lab can switch

    @property
    def is_success(self) -> bool:
        return self in _SUCCESSES


_SUCCESSES = frozenset(
    (
        CxResult.SUCCESS,
        CxResult.FIRST_REGISTRATION,
        CxResult.SUBSEQUENT_REGISTRATION,
        CxResult.UNREGISTERED_SERVICE,
    )
)


class AssignmentType(enum.Enum):
    """Server-Assignment-Type (TS 29.229 §6.3.15)."""

    NO_ASSIGNMENT = 0
    REGISTRATION = 1
    RE_REGISTRATION = 2
    UNREGISTERED_USER = 3
    TIMEOUT_DEREGISTRATION = 4
    USER_DEREGISTRATION = 5
    ADMINISTRATIVE_DEREGISTRATION = 8


class DeregistrationReason(enum.Enum):
    """Why the network ends a registration; the event that reginfo tells the UE (RFC 3680 §5.3.2)."""

    REJECTED = "rejected"
    DEACTIVATED = "deactivated"
    PROBATION = "probation"
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class UserAuthorizationAnswer:
    """UAA. *impi* is the private identity that the request belongs to, also where the client sent none."""

    result: CxResult
    scscf: str | None = None
    impi: str | None = None


@dataclass(frozen=True, slots=True, init=False)
class MultimediaAuthAnswer:
    """MAA: *ha1* for Digest (hexadecimal text), *vector* for AKA. *changed* has to be stored before use."""

    result: CxResult
    impi: str = ""
    scheme: AuthenticationScheme | None = None
    realm: str = ""
    ha1: Secret | None = None
    vector: AuthenticationVector | None = None
    changed: SequenceNumber | None = None

    def __init__(
        self,
        result: CxResult,
        impi: str = "",
        scheme: AuthenticationScheme | None = None,
        realm: str = "",
        ha1: Secret | None = None,
        vector: AuthenticationVector | None = None,
        changed: SequenceNumber | None = None,
    ) -> None:
        # Written out, because the __init__ of a frozen dataclass takes twice as long: two for each registration.
        _set_result(self, result)
        _set_impi(self, impi)
        _set_scheme(self, scheme)
        _set_realm(self, realm)
        _set_ha1(self, ha1)
        _set_vector(self, vector)
        _set_changed(self, changed)


_set_result, _set_impi, _set_scheme, _set_realm, _set_ha1, _set_vector, _set_changed = slot_setters(
    MultimediaAuthAnswer
)


@dataclass(frozen=True, slots=True, init=False)
class UserProfile:
    """User-Data of a SAA: the implicit registration set (default IMPU first) with its service profile."""

    impi: str
    impus: tuple[str, ...]
    keys: tuple[str, ...]  # identity keys of the IMPUs, each once
    service_profile: ServiceProfile
    services: frozenset[str]
    is_barred: bool = False

    def __init__(
        self,
        impi: str,
        impus: tuple[str, ...],
        keys: tuple[str, ...],
        service_profile: ServiceProfile,
        services: frozenset[str],
        is_barred: bool = False,
    ) -> None:
        _set_own_impi(self, impi)
        _set_impus(self, impus)
        _set_keys(self, keys)
        _set_service_profile(self, service_profile)
        _set_services(self, services)
        _set_is_barred(self, is_barred)


_set_own_impi, _set_impus, _set_keys, _set_service_profile, _set_services, _set_is_barred = slot_setters(UserProfile)


@dataclass(frozen=True, slots=True, init=False)
class ServerAssignmentAnswer:
    """SAA."""

    result: CxResult
    profile: UserProfile | None = None

    def __init__(self, result: CxResult, profile: UserProfile | None = None) -> None:
        _set_saa_result(self, result)
        _set_profile(self, profile)


_set_saa_result, _set_profile = slot_setters(ServerAssignmentAnswer)


@dataclass(frozen=True, slots=True)
class LocationInfoAnswer:
    """LIA: the S-CSCF of a user, or the application server of a public service identity."""

    result: CxResult
    scscf: str | None = None
    as_uri: str | None = None


class UserStateObserver(Protocol):
    """The S-CSCF's end of Cx, for what the HSS begins."""

    def registration_termination(self, impu: str, reason: DeregistrationReason) -> bool:
        """RTR: the network ends the registration of *impu* and its implicit set. False if it is not registered."""
        ...

    def push_profile(self, profile: UserProfile) -> None:
        """PPR: the profile of a set changed."""
        ...


class Cx(Protocol):
    """The HSS as I-CSCF and S-CSCF see it. *key* is an identity key (`ims_core.wire.sip.uri.identity_key`)."""

    def user_authorization(self, impi: str | None, key: str, visited_network: str) -> UserAuthorizationAnswer:
        """UAR: may this pair register, and at which S-CSCF? *impi* None: the client named none."""
        ...

    def multimedia_auth(
        self, impi: str | None, key: str, username: str | None, *, resync: tuple[bytes, bytes] | None = None
    ) -> MultimediaAuthAnswer:
        """MAR: what to challenge with. *username* is the Digest user name as sent, None if there is none yet: then HA1
        is that of the last one, or of the IMPI. *resync* is RAND and AUTS."""
        ...

    def server_assignment(self, key: str, assignment: AssignmentType, scscf: str) -> ServerAssignmentAnswer:
        """SAR: the registration state of a set changed, or (NO_ASSIGNMENT) only the profile is wanted."""
        ...

    def location_info(self, key: str) -> LocationInfoAnswer:
        """LIR: where requests for *key* go."""
        ...

    def observe(self, observer: UserStateObserver) -> None:
        """Registers the S-CSCF for RTR and PPR."""
        ...

    def forget_observer(self, observer: UserStateObserver) -> None:
        """The S-CSCF has stopped."""
        ...


@dataclass(frozen=True, slots=True)
class ShUser:
    """What an application server may know of a subscriber. *impus* begins with the default one."""

    impi: str
    impus: tuple[str, ...]
    msisdn: str | None
    imsi: str | None
    service_profile: str
    services: frozenset[str]
    is_barred: bool
    is_registered: bool


class Sh(Protocol):
    """The HSS as application servers see it (TS 29.328)."""

    def user_by_identity(self, key: str) -> ShUser | None:
        """By identity key of one of the IMPUs."""
        ...

    def user_by_impi(self, impi: str) -> ShUser | None: ...

    def user_by_msisdn(self, msisdn: str) -> ShUser | None:
        """By E.164 number with "+"."""
        ...

    def user_by_imsi(self, imsi: str) -> ShUser | None: ...

    def password_of(self, impi: str) -> Secret | None:
        """The Digest password, which an ACS writes into its document; None for a subscriber without one (choice)."""
        ...

"""HSS: subscriptions, credentials, registration state; the far end of Cx and Sh (TS 23.228, TS 29.228, TS 29.328)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ims_core.cx import (
    AssignmentType,
    CxResult,
    DeregistrationReason,
    LocationInfoAnswer,
    MultimediaAuthAnswer,
    ServerAssignmentAnswer,
    ShUser,
    UserAuthorizationAnswer,
    UserProfile,
    UserStateObserver,
)
from ims_core.errors import SimulatorError
from ims_core.service_profile import ServiceProfile, SessionCase
from ims_core.store.record_table import Store
from ims_core.store.subscribers import (
    SEQUENCE_NUMBERS,
    SUBSCRIBERS,
    AuthenticationScheme,
    SequenceNumber,
    Subscriber,
)
from ims_core.transport.tokens import Tokens
from ims_core.wire.digest import Algorithm, compute_ha1
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import AkaSubscription, AuthenticationCentre
from ims_core.wire.sip.uri import identity_key, parse_uri

__all__ = ["Hss", "HssConfig", "SubscriberError"]

_RAND_OCTETS = 16  # TS 33.102 §6.3.2
_REGISTERING = (AssignmentType.REGISTRATION, AssignmentType.RE_REGISTRATION)
_ALGORITHMS = {scheme: Algorithm.parse(scheme.value) for scheme in AuthenticationScheme}


class SubscriberError(SimulatorError):
    """A subscription that cannot be provisioned. The text says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HssConfig:
    """*scscf* is the name that UAA and LIA give. *service_identities* maps public service identities to the URI of
    their application server: a whole host (``focus.example.net``) or one identity key (``sip:factory@example.net``)."""

    home_domain: str
    scscf: str
    profiles: Mapping[str, ServiceProfile]
    subscribers: tuple[Subscriber, ...] = ()
    service_identities: Mapping[str, str] = field(default_factory=dict)


class _ImplicitSet:
    """One implicit registration set and whether it is registered."""

    __slots__ = ("assignment", "digest", "impus", "is_registered", "keys", "subscriber")

    def __init__(self, subscriber: Subscriber, impus: tuple[str, ...], keys: tuple[str, ...]) -> None:
        self.subscriber = subscriber
        self.impus = impus
        self.keys = keys
        self.is_registered = False
        self.assignment: ServerAssignmentAnswer | None = None
        self.digest: tuple[str, MultimediaAuthAnswer] | None = None  # the last MAA with HA1, and its user name


class Hss:
    """All subscriptions of one carrier. Implements `Cx` and `Sh`.

    *is_up* False lets every Cx call fail with UNABLE_TO_COMPLY, as an operator or a test wants it."""

    def __init__(self, config: HssConfig, *, tokens: Tokens, store: Store | None = None) -> None:
        self.is_up = True
        self._config = config
        self._tokens = tokens
        self._store = store
        self._home = (config.home_domain.lower(),)
        self._subscribers: dict[str, Subscriber] = {}
        self._sets: dict[str, _ImplicitSet] = {}
        self._impi_by_msisdn: dict[str, str] = {}
        self._impi_by_imsi: dict[str, str] = {}
        self._sequence_numbers: dict[str, int] = {}
        self._centre = AuthenticationCentre()
        self._observers: list[UserStateObserver] = []
        self._serves_unregistered = {
            name: any(SessionCase.TERMINATING_UNREGISTERED in each.session_cases for each in profile.criteria)
            for name, profile in config.profiles.items()
        }
        for subscriber in config.subscribers:
            self.provision(subscriber)

    # --- provisioning ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Takes in what the store has: subscribers that the configuration does not name, and sequence numbers.

        Raises StoreError."""
        if self._store is None:
            return
        for subscriber in await self._store.table(SUBSCRIBERS).load_all():
            if subscriber.impi not in self._subscribers:
                self.provision(subscriber)
        for number in await self._store.table(SEQUENCE_NUMBERS).load_all():
            self._sequence_numbers[number.impi] = number.sqn

    async def add(self, subscriber: Subscriber) -> None:
        """Provisions *subscriber* for good. Raises SubscriberError, StoreError."""
        self.provision(subscriber)
        if self._store is not None:
            await self._store.table(SUBSCRIBERS).put(subscriber)

    async def delete(self, impi: str) -> None:
        """Ends the subscription and its registration. Raises StoreError."""
        self._withdraw(impi, DeregistrationReason.REJECTED)
        if self._store is not None:
            await self._store.table(SUBSCRIBERS).delete(impi)
            await self._store.table(SEQUENCE_NUMBERS).delete(impi)

    def provision(self, subscriber: Subscriber) -> None:
        """Adds or replaces a subscription; what is registered stays so. Raises SubscriberError."""
        sets = [self._implicit_set(subscriber, impus) for impus in subscriber.implicit_sets]
        self._check(subscriber, sets)
        registered = {key for known in self._sets_of(subscriber.impi) if known.is_registered for key in known.keys}
        self._forget(subscriber.impi)
        self._subscribers[subscriber.impi] = subscriber
        for implicit_set in sets:
            implicit_set.is_registered = any(key in registered for key in implicit_set.keys)
            self._sets.update(dict.fromkeys(implicit_set.keys, implicit_set))
            self._prepare(implicit_set)
        if subscriber.msisdn is not None:
            self._impi_by_msisdn[subscriber.msisdn] = subscriber.impi
        if subscriber.imsi is not None:
            self._impi_by_imsi[subscriber.imsi] = subscriber.impi
        self._centre.remove(subscriber.impi)

    def _prepare(self, implicit_set: _ImplicitSet) -> None:
        """What a registration asks for, profile and HA1, changes with the subscription only."""
        subscriber = implicit_set.subscriber
        implicit_set.assignment = ServerAssignmentAnswer(CxResult.SUCCESS, self._profile(implicit_set))
        if subscriber.scheme is not AuthenticationScheme.AKA_V1_MD5:
            implicit_set.digest = subscriber.impi, self._digest(subscriber, subscriber.impi)

    def update(self, subscriber: Subscriber) -> None:
        """Replaces a subscription and tells the S-CSCF (PPR); a barred one is deregistered (RTR)."""
        self.provision(subscriber)
        for implicit_set in self._sets_of(subscriber.impi):
            for observer in self._observers:
                if subscriber.is_barred:
                    observer.registration_termination(implicit_set.impus[0], DeregistrationReason.REJECTED)
                else:
                    observer.push_profile(self._profile(implicit_set))

    def bar(self, impi: str, is_barred: bool = True) -> None:
        """Bars a subscriber, or lifts the bar. Raises KeyError if *impi* is unknown."""
        self.update(replace(self._subscribers[impi], is_barred=is_barred))

    def deregister(self, impu: str, reason: DeregistrationReason) -> bool:
        """The operator ends the registration of *impu*. False if it is not registered."""
        return any([observer.registration_termination(impu, reason) for observer in self._observers])

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """All subscriptions, in the order in which they were provisioned."""
        return tuple(self._subscribers.values())

    def key_of(self, identity: str) -> str:
        """Identity key of a sip or tel URI in this carrier; empty for a local number. Raises SipParseError."""
        return identity_key(parse_uri(identity), self._home)

    def _implicit_set(self, subscriber: Subscriber, impus: tuple[str, ...]) -> _ImplicitSet:
        keys = tuple(dict.fromkeys(filter(None, map(self.key_of, impus))))
        return _ImplicitSet(subscriber, impus, keys)

    def _check(self, subscriber: Subscriber, sets: Iterable[_ImplicitSet]) -> None:
        name = subscriber.impi
        if subscriber.service_profile not in self._config.profiles:
            known = ", ".join(sorted(self._config.profiles))
            raise SubscriberError(f"{name}: no service profile {subscriber.service_profile!r}; there are {known}")
        if subscriber.scheme is AuthenticationScheme.AKA_V1_MD5:
            if subscriber.k is None or subscriber.opc is None:
                raise SubscriberError(f"{name}: AKA needs k and opc, 16 octets each")
        elif subscriber.password is None and subscriber.ha1 is None:
            raise SubscriberError(f"{name}: {subscriber.scheme.value} needs a password, or its ha1")
        for implicit_set in sets:
            if not implicit_set.keys:
                raise SubscriberError(f"{name}: an implicit registration set needs a sip URI or a global tel URI")
            for key in implicit_set.keys:
                owner = self._sets.get(key)
                if owner is not None and owner.subscriber.impi != name:
                    raise SubscriberError(f"{name}: {key} belongs to {owner.subscriber.impi} already")

    def _withdraw(self, impi: str, reason: DeregistrationReason) -> None:
        for implicit_set in self._sets_of(impi):
            self.deregister(implicit_set.impus[0], reason)
        self._forget(impi)

    def _forget(self, impi: str) -> None:
        old = self._subscribers.pop(impi, None)
        if old is None:
            return
        for implicit_set in self._sets_of(impi, old):
            for key in implicit_set.keys:
                self._sets.pop(key, None)
        if old.msisdn is not None:
            self._impi_by_msisdn.pop(old.msisdn, None)
        if old.imsi is not None:
            self._impi_by_imsi.pop(old.imsi, None)
        self._centre.remove(impi)

    def _sets_of(self, impi: str, subscriber: Subscriber | None = None) -> list[_ImplicitSet]:
        subscriber = subscriber or self._subscribers.get(impi)
        if subscriber is None:
            return []
        found = (self._sets.get(self.key_of(impu)) for impus in subscriber.implicit_sets for impu in impus)
        return list(dict.fromkeys(each for each in found if each is not None))

    # --- Cx ----------------------------------------------------------------------------------------------------------

    def observe(self, observer: UserStateObserver) -> None:
        self._observers.append(observer)

    def forget_observer(self, observer: UserStateObserver) -> None:
        if observer in self._observers:
            self._observers.remove(observer)

    def user_authorization(self, impi: str | None, key: str, visited_network: str) -> UserAuthorizationAnswer:
        if not self.is_up:
            return UserAuthorizationAnswer(CxResult.UNABLE_TO_COMPLY)
        implicit_set, result = self._pair(impi, key)
        if implicit_set is None:
            return UserAuthorizationAnswer(result)
        subscriber = implicit_set.subscriber
        if subscriber.is_barred:
            return UserAuthorizationAnswer(CxResult.AUTHORIZATION_REJECTED)
        if visited_network and visited_network.lower() != self._home[0]:
            return UserAuthorizationAnswer(CxResult.ROAMING_NOT_ALLOWED)
        state = CxResult.SUBSEQUENT_REGISTRATION if implicit_set.is_registered else CxResult.FIRST_REGISTRATION
        return UserAuthorizationAnswer(state, self._config.scscf, subscriber.impi)

    def multimedia_auth(
        self, impi: str | None, key: str, username: str | None, *, resync: tuple[bytes, bytes] | None = None
    ) -> MultimediaAuthAnswer:
        if not self.is_up:
            return MultimediaAuthAnswer(CxResult.UNABLE_TO_COMPLY)
        implicit_set = self._sets.get(key)
        if implicit_set is None or (impi and impi != implicit_set.subscriber.impi):
            implicit_set, result = self._pair(impi, key)
            if implicit_set is None:
                return MultimediaAuthAnswer(result)
        subscriber = implicit_set.subscriber
        if subscriber.is_barred:
            return MultimediaAuthAnswer(CxResult.AUTHORIZATION_REJECTED)
        if subscriber.scheme is AuthenticationScheme.AKA_V1_MD5:
            return self._aka(subscriber, resync)
        known = implicit_set.digest
        if known is None or (username is not None and known[0] != username):
            name = username or subscriber.impi
            known = implicit_set.digest = name, self._digest(subscriber, name)
        return known[1]

    def server_assignment(self, key: str, assignment: AssignmentType, scscf: str) -> ServerAssignmentAnswer:
        if not self.is_up:
            return ServerAssignmentAnswer(CxResult.UNABLE_TO_COMPLY)
        implicit_set = self._sets.get(key)
        if implicit_set is None:
            return ServerAssignmentAnswer(CxResult.USER_UNKNOWN)
        if assignment is not AssignmentType.NO_ASSIGNMENT:
            implicit_set.is_registered = assignment in _REGISTERING
        answer = implicit_set.assignment
        if answer is None:
            answer = ServerAssignmentAnswer(CxResult.SUCCESS, self._profile(implicit_set))
            implicit_set.assignment = answer
        return answer

    def location_info(self, key: str) -> LocationInfoAnswer:
        if not self.is_up:
            return LocationInfoAnswer(CxResult.UNABLE_TO_COMPLY)
        implicit_set = self._sets.get(key)
        if implicit_set is None or implicit_set.subscriber.is_barred:
            return self._service_identity(key)
        if implicit_set.is_registered:
            return LocationInfoAnswer(CxResult.SUCCESS, self._config.scscf)
        if self._serves_unregistered[implicit_set.subscriber.service_profile]:
            return LocationInfoAnswer(CxResult.UNREGISTERED_SERVICE, self._config.scscf)
        return LocationInfoAnswer(CxResult.IDENTITY_NOT_REGISTERED)

    def _service_identity(self, key: str) -> LocationInfoAnswer:
        identities = self._config.service_identities
        as_uri = identities.get(key) or identities.get(key.removeprefix("sip:").rpartition("@")[2])
        if as_uri is None or key in self._sets:
            return LocationInfoAnswer(CxResult.USER_UNKNOWN)
        return LocationInfoAnswer(CxResult.SUCCESS, as_uri=as_uri)

    def _pair(self, impi: str | None, key: str) -> tuple[_ImplicitSet | None, CxResult]:
        """The implicit set with *key*, if it belongs to *impi*; and what is wrong if not.

        Without an IMPI the set alone tells the user. A Digest user name without "@" stands for one in the home domain,
        as SIP clients that know no IMS are configured (choice)."""
        implicit_set = self._sets.get(key)
        if implicit_set is None:
            return None, CxResult.USER_UNKNOWN
        own = implicit_set.subscriber.impi
        if not impi or impi == own or f"{impi}@{self._config.home_domain}" == own:
            return implicit_set, CxResult.SUCCESS
        return None, CxResult.IDENTITIES_DONT_MATCH

    def _digest(self, subscriber: Subscriber, username: str) -> MultimediaAuthAnswer:
        return MultimediaAuthAnswer(
            CxResult.SUCCESS,
            subscriber.impi,
            subscriber.scheme,
            self._config.home_domain,
            self._ha1(subscriber, username),
        )

    def _ha1(self, subscriber: Subscriber, username: str) -> Secret | None:
        if subscriber.password is None:
            return subscriber.ha1
        algorithm = _ALGORITHMS[subscriber.scheme]
        return Secret(compute_ha1(algorithm, username, self._config.home_domain, subscriber.password).encode("ascii"))

    def _aka(self, subscriber: Subscriber, resync: tuple[bytes, bytes] | None) -> MultimediaAuthAnswer:
        impi, centre = subscriber.impi, self._centre
        if impi not in centre:
            sqn = max(subscriber.sqn, self._sequence_numbers.get(impi, 0))
            k, opc = subscriber.k or Secret(b""), subscriber.opc or Secret(b"")
            centre.provision(impi, AkaSubscription(k, opc, sqn, subscriber.amf))
        if resync is not None and not centre.resynchronise(impi, *resync):
            return MultimediaAuthAnswer(CxResult.AUTHORIZATION_REJECTED)
        vector = centre.generate(impi, self._tokens.octets(_RAND_OCTETS))
        sqn = self._sequence_numbers[impi] = centre.sqn(impi)
        return MultimediaAuthAnswer(
            CxResult.SUCCESS,
            impi,
            subscriber.scheme,
            self._config.home_domain,
            vector=vector,
            changed=SequenceNumber(impi, sqn),
        )

    def _profile(self, implicit_set: _ImplicitSet) -> UserProfile:
        subscriber = implicit_set.subscriber
        profile = self._config.profiles[subscriber.service_profile]
        return UserProfile(
            subscriber.impi,
            implicit_set.impus,
            implicit_set.keys,
            profile,
            self._services(subscriber),
            subscriber.is_barred,
        )

    def _services(self, subscriber: Subscriber) -> frozenset[str]:
        if subscriber.services is None:
            return self._config.profiles[subscriber.service_profile].services
        return frozenset(subscriber.services)

    # --- Sh ----------------------------------------------------------------------------------------------------------

    def user_by_identity(self, key: str) -> ShUser | None:
        implicit_set = self._sets.get(key)
        return None if implicit_set is None else self._sh_user(implicit_set.subscriber, implicit_set)

    def user_by_impi(self, impi: str) -> ShUser | None:
        subscriber = self._subscribers.get(impi)
        sets = self._sets_of(impi)
        return None if subscriber is None or not sets else self._sh_user(subscriber, sets[0])

    def user_by_msisdn(self, msisdn: str) -> ShUser | None:
        return self.user_by_impi(self._impi_by_msisdn.get(msisdn, ""))

    def user_by_imsi(self, imsi: str) -> ShUser | None:
        return self.user_by_impi(self._impi_by_imsi.get(imsi, ""))

    def password_of(self, impi: str) -> Secret | None:
        subscriber = self._subscribers.get(impi)
        return None if subscriber is None else subscriber.password

    def _sh_user(self, subscriber: Subscriber, implicit_set: _ImplicitSet) -> ShUser:
        return ShUser(
            subscriber.impi,
            implicit_set.impus,
            subscriber.msisdn,
            subscriber.imsi,
            subscriber.service_profile,
            self._services(subscriber),
            subscriber.is_barred,
            implicit_set.is_registered,
        )

"""Subscribers of a network file with everything that the file leaves out: identities, passwords and keys, drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ims_core.errors import ProfileError
from ims_core.store.subscribers import AuthenticationScheme, Subscriber
from ims_core.transport.tokens import Tokens
from ims_core.wire.secret import Secret
from rcs_sim.scenario.documents import SubscriberDocument
from rcs_sim.scenario.model import BulkEntry, CarrierEntry, SubscriberEntry

__all__ = ["LabSubscriber", "imsi_of", "subscribers_of"]

_PLMN = re.compile(r"mnc(\d{3})\.mcc(\d{3})\.")  # TS 23.003 §13.2
_IMSI_DIGITS = 15  # TS 23.003 §2.2
_PASSWORD_BITS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSubscriber:
    """One subscriber of a carrier; *msisdn* and *imsi* are None for a plain SIP user without a number.

    Either *password* is set, or *k* and *opc*."""

    impi: str
    impus: tuple[str, ...]
    msisdn: str | None
    imsi: str | None
    service: str
    scheme: AuthenticationScheme
    password: Secret | None = None
    k: Secret | None = None
    opc: Secret | None = None

    def record(self) -> Subscriber:
        """As the HSS keeps it."""
        return Subscriber(
            impi=self.impi,
            implicit_sets=(self.impus,),
            msisdn=self.msisdn,
            imsi=self.imsi,
            scheme=self.scheme,
            password=self.password,
            k=self.k,
            opc=self.opc,
            service_profile=self.service,
        )

    def document(self) -> SubscriberDocument:
        """With its secrets, for whoever started the lab."""
        return SubscriberDocument.model_validate(
            {
                "msisdn": self.msisdn,
                "imsi": self.imsi,
                "impu": self.impus[0],
                "impi": self.impi,
                "service": self.service,
                "auth": self.scheme.value,
                "password": None if self.password is None else self.password.octets.decode(),
                "k": None if self.k is None else self.k.octets.hex(),
                "opc": None if self.opc is None else self.opc.octets.hex(),
            }
        )


def imsi_of(msisdn: str, domain: str) -> str:
    """The IMSI that the lab gives a number: the carrier's PLMN and as many last digits as fit (choice)."""
    found = _PLMN.search(domain + ".")
    mnc, mcc = (found[1], found[2]) if found else ("001", "001")
    plmn = mcc + mnc.removeprefix("0")
    room = _IMSI_DIGITS - len(plmn)
    return plmn + msisdn.lstrip("+")[-room:].zfill(room)


def subscribers_of(carrier: CarrierEntry, tokens: Tokens, file: str) -> list[LabSubscriber]:
    """All subscribers, written out. Raises ProfileError for one without a number or name, and for doubles."""
    entries = [*carrier.subscribers, *(entry for bulk in carrier.bulk for entry in _written_out(bulk, file))]
    found = [_subscriber(entry, carrier.domain, tokens, file) for entry in entries]
    seen: set[str] = set()
    for subscriber in found:
        if subscriber.impi in seen:
            raise ProfileError(f"two subscribers are {subscriber.msisdn or subscriber.impi}", file=file)
        seen.add(subscriber.impi)
    return found


def _written_out(bulk: BulkEntry, file: str) -> Iterator[SubscriberEntry]:
    first = int(bulk.first[1:])
    if len(str(first + bulk.count - 1)) != len(bulk.first) - 1:
        raise ProfileError(f"bulk: {bulk.count} numbers from {bulk.first} on do not fit its length", file=file)
    for number in range(first, first + bulk.count):
        yield SubscriberEntry(msisdn=f"+{number}", service=bulk.service, auth=bulk.auth, password=bulk.password)


def _subscriber(entry: SubscriberEntry, domain: str, tokens: Tokens, file: str) -> LabSubscriber:
    if entry.msisdn is None and (entry.name is None or entry.service == "rcs"):
        raise ProfileError("a subscriber needs an msisdn; a plain SIP one (service: sip) at least a name", file=file)
    user = entry.imsi or (imsi_of(entry.msisdn, domain) if entry.msisdn else entry.name)
    impi = f"{user}@{domain}"
    impus = [f"sip:{entry.name}@{domain}"] if entry.name and entry.service == "sip" else []
    if entry.msisdn:
        impus += [f"sip:{entry.msisdn}@{domain}", f"tel:{entry.msisdn}"]
    scheme = AuthenticationScheme(entry.auth)
    drawn = tokens.child(impi)
    uses_aka = scheme is AuthenticationScheme.AKA_V1_MD5
    return LabSubscriber(
        impi=impi,
        impus=tuple(impus),
        msisdn=entry.msisdn,
        imsi=str(user) if entry.msisdn else None,
        service=entry.service,
        scheme=scheme,
        password=None if uses_aka else Secret.of_text(entry.password or drawn.word(_PASSWORD_BITS)),
        k=Secret(drawn.octets(16)) if uses_aka else None,
        opc=Secret(drawn.octets(16)) if uses_aka else None,
    )

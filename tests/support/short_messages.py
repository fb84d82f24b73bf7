"""Subscribers and messages of the short message tests: red +1202555010x, blue +1202555015x."""

from __future__ import annotations

from collections.abc import Mapping

from ims_core.cx import ShUser
from ims_core.wire.secret import Secret
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError, parse_rpdu
from ims_core.wire.sms.timestamp import ValidityPeriod
from ims_core.wire.sms.tpdu import (
    SmsDeliver,
    SmsDeliverReport,
    SmsStatusReport,
    SmsSubmit,
    parse_tpdu_to_ms,
)
from ims_core.wire.sms.user_data import UserData

__all__ = [
    "ALICE",
    "BOB",
    "CAROL",
    "Directory",
    "deliver_of",
    "imsi_of",
    "report_of",
    "rp_ack",
    "rp_error",
    "rp_submit",
    "smsc_of",
]

ALICE, CAROL, BOB = "+12025550101", "+12025550103", "+12025550152"
SMSC_NUMBER = "+12025550199"


def smsc_of(number: str) -> str | None:
    """The lab's number table: ranges of red and blue."""
    ranges: Mapping[str, str] = {"+1202555010": "red.smsc", "+1202555015": "blue.smsc"}
    return ranges.get(number[:11])


def imsi_of(msisdn: str) -> str:
    return f"0010{1 if smsc_of(msisdn) == 'red.smsc' else 2}{msisdn[-10:]}"


class Directory:
    """Sh of a carrier with these subscribers."""

    def __init__(self, *numbers: str, barred: tuple[str, ...] = ()) -> None:
        self._users = {number: _user(number, number in barred) for number in (*numbers, *barred)}

    def user_by_identity(self, key: str) -> ShUser | None:
        return self._users.get(key.removeprefix("tel:"))

    def user_by_impi(self, impi: str) -> ShUser | None:
        return next((user for user in self._users.values() if user.impi == impi), None)

    def user_by_msisdn(self, msisdn: str) -> ShUser | None:
        return self._users.get(msisdn)

    def user_by_imsi(self, imsi: str) -> ShUser | None:
        return next((user for user in self._users.values() if user.imsi == imsi), None)

    def password_of(self, impi: str) -> Secret | None:
        return None


def _user(number: str, is_barred: bool) -> ShUser:
    imsi = imsi_of(number)
    return ShUser(
        impi=f"{imsi}@ims.example",
        impus=(f"sip:{number}@ims.example", f"tel:{number}"),
        msisdn=number,
        imsi=imsi,
        service_profile="rcs",
        services=frozenset(),
        is_barred=is_barred,
        is_registered=True,
    )


def rp_submit(
    text: str,
    destination: str,
    *,
    reference: int = 7,
    message_reference: int = 42,
    status_report: bool = False,
    validity: ValidityPeriod | None = None,
    reject_duplicates: bool = False,
) -> bytes:
    """RP-DATA with SMS-SUBMIT of a phone."""
    submit = SmsSubmit(
        message_reference=message_reference,
        destination=Address.international(destination),
        user_data=UserData.of_text(text, DataCoding.GSM7),
        validity=validity,
        status_report_request=status_report,
        reject_duplicates=reject_duplicates,
    )
    return RpData(Direction.FROM_MS, reference, Address.international(SMSC_NUMBER), submit.encode()).encode()


def rp_ack(reference: int) -> bytes:
    """RP-ACK of a phone."""
    return RpAck(Direction.FROM_MS, reference, SmsDeliverReport().encode()).encode()


def rp_error(reference: int, cause: int) -> bytes:
    """RP-ERROR of a phone."""
    return RpError(Direction.FROM_MS, reference, cause).encode()


def _to_phone(octets: bytes) -> tuple[RpData, object]:
    rpdu = parse_rpdu(octets)
    assert isinstance(rpdu, RpData)
    assert rpdu.direction is Direction.TO_MS
    return rpdu, parse_tpdu_to_ms(rpdu.user_data)


def deliver_of(octets: bytes) -> tuple[RpData, SmsDeliver]:
    """RP-DATA toward a phone, and its SMS-DELIVER."""
    rpdu, tpdu = _to_phone(octets)
    assert isinstance(tpdu, SmsDeliver)
    return rpdu, tpdu


def report_of(octets: bytes) -> tuple[RpData, SmsStatusReport]:
    """RP-DATA toward a phone or application, and its SMS-STATUS-REPORT."""
    rpdu, tpdu = _to_phone(octets)
    assert isinstance(tpdu, SmsStatusReport)
    return rpdu, tpdu

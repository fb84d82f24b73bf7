"""TP-Service-Centre-Time-Stamp and TP-Validity-Period (3GPP TS 23.040 §9.2.3.11, §9.2.3.12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.octets import OctetReader

__all__ = [
    "TIMESTAMP_OCTETS",
    "AbsoluteValidity",
    "EnhancedValidity",
    "RelativeValidity",
    "Timestamp",
    "ValidityFormat",
    "ValidityPeriod",
    "read_validity",
    "validity_format",
]

TIMESTAMP_OCTETS = 7
_CENTURY_PIVOT = 90  # (choice) two-digit years from 90 are 19xx
_MINUTE_S, _HOUR_S, _DAY_S, _WEEK_S = 60, 3600, 86400, 604800


@dataclass(frozen=True, slots=True)
class Timestamp:
    """The seven octets as received: §9.2.3.11 has receivers store them unchanged even where a digit is none."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != TIMESTAMP_OCTETS:
            raise LocalProtocolError("a time stamp has 7 octets", spec="TS 23.040 §9.2.3.11")

    @classmethod
    def read(cls, reader: OctetReader, what: str) -> Timestamp:
        return cls(reader.take(TIMESTAMP_OCTETS, what))

    @classmethod
    def at(cls, epoch_s: float, zone_quarters: int = 0) -> Timestamp:
        """Time stamp of *epoch_s* (seconds since 1970, UTC, fraction cut off) in local time, *zone_quarters* quarters
        of an hour east of UTC, -79 to 79. Raises LocalProtocolError outside of 1990 to 2089."""
        if not -79 <= zone_quarters <= 79:
            raise LocalProtocolError(f"time zone of {zone_quarters} quarters of an hour", spec="TS 23.040 §9.2.3.11")
        zone = timezone(timedelta(minutes=15 * zone_quarters))
        local = datetime.fromtimestamp(int(epoch_s), UTC).astimezone(zone)
        if not 1900 + _CENTURY_PIVOT <= local.year < 2000 + _CENTURY_PIVOT:
            raise LocalProtocolError(f"year {local.year} has no time stamp", spec="TS 23.040 §9.2.3.11")
        fields = (local.year % 100, local.month, local.day, local.hour, local.minute, local.second)
        sign = 0x08 if zone_quarters < 0 else 0
        return cls(bytes([*map(_swapped, fields), _swapped(abs(zone_quarters)) | sign]))

    @property
    def zone_quarters(self) -> int:
        """Quarters of an hour east of UTC."""
        octet = self.octets[6]
        quarters = _unswapped(octet & ~0x08 & 0xFF)
        return -quarters if octet & 0x08 else quarters

    def to_datetime(self) -> datetime | None:
        """With its zone; None if the octets name no existing moment. A digit above 9 counts as 0 (§9.2.3.11)."""
        year, month, day, hour, minute, second = (_unswapped(octet) for octet in self.octets[:6])
        zone = timezone(timedelta(minutes=15 * self.zone_quarters))
        try:
            return datetime(_full_year(year), month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            return None

    def to_epoch_s(self) -> float | None:
        moment = self.to_datetime()
        return None if moment is None else moment.timestamp()


def _full_year(two_digits: int) -> int:
    return two_digits + (1900 if two_digits >= _CENTURY_PIVOT else 2000)


def _swapped(value: int) -> int:
    return value // 10 | value % 10 << 4


def _unswapped(octet: int) -> int:
    tens, units = octet & 0x0F, octet >> 4
    return (tens if tens <= 9 else 0) * 10 + (units if units <= 9 else 0)


class ValidityFormat(IntEnum):
    """TP-Validity-Period-Format, bits 4 and 3 of the first octet of SMS-SUBMIT (§9.2.3.3)."""

    ABSENT = 0
    ENHANCED = 1
    RELATIVE = 2
    ABSOLUTE = 3


@dataclass(frozen=True, slots=True)
class RelativeValidity:
    """One octet; the table of §9.2.3.12.1."""

    octet: int

    @classmethod
    def at_least(cls, duration_s: float) -> RelativeValidity:
        """The shortest period that is not below *duration_s*; the longest there is, 63 weeks, for more."""
        low, high = 0, 255
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if cls(middle).duration_s >= duration_s else (middle + 1, high)
        return cls(low)

    @property
    def duration_s(self) -> int:
        if self.octet <= 143:
            return (self.octet + 1) * 5 * _MINUTE_S
        if self.octet <= 167:
            return 12 * _HOUR_S + (self.octet - 143) * 30 * _MINUTE_S
        if self.octet <= 196:
            return (self.octet - 166) * _DAY_S
        return (self.octet - 192) * _WEEK_S

    def expires_at(self, submitted_at: float) -> float | None:
        return submitted_at + self.duration_s

    def encode(self) -> bytes:
        return bytes((self.octet,))


@dataclass(frozen=True, slots=True)
class AbsoluteValidity:
    """The moment of expiry in the form of a time stamp (§9.2.3.12.2)."""

    timestamp: Timestamp

    def expires_at(self, submitted_at: float) -> float | None:
        """None if the octets name no moment: the service centre's default applies."""
        return self.timestamp.to_epoch_s()

    def encode(self) -> bytes:
        return self.timestamp.octets


@dataclass(frozen=True, slots=True)
class EnhancedValidity:
    """Seven octets, the first a functionality indicator (§9.2.3.12.3). Kept as received."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != TIMESTAMP_OCTETS:
            raise LocalProtocolError("an enhanced validity period has 7 octets", spec="TS 23.040 §9.2.3.12.3")

    @classmethod
    def seconds(cls, count: int, *, single_shot: bool = False) -> EnhancedValidity:
        """Validity of 1 to 255 seconds."""
        if not 1 <= count <= 255:
            raise LocalProtocolError(f"{count} seconds do not fit", spec="TS 23.040 §9.2.3.12.3")
        return cls(bytes((0x42 if single_shot else 0x02, count)) + bytes(5))

    @property
    def is_single_shot(self) -> bool:
        """The service centre makes one delivery attempt only."""
        return bool(self.octets[0] & 0x40)

    @property
    def duration_s(self) -> int | None:
        """None where no period is given or its format is reserved."""
        first, value = self.octets[0], self.octets[1:]
        if first & 0x80:  # an extension octet, none defined so far, moves the rest
            return None
        match first & 0x07:
            case 1:
                return RelativeValidity(value[0]).duration_s
            case 2:
                return value[0] or None
            case 3:
                hours, minutes, seconds = (_unswapped(octet) for octet in value[:3])
                return hours * _HOUR_S + minutes * _MINUTE_S + seconds
            case _:
                return None

    def expires_at(self, submitted_at: float) -> float | None:
        duration_s = self.duration_s
        return None if duration_s is None else submitted_at + duration_s

    def encode(self) -> bytes:
        return self.octets


ValidityPeriod = RelativeValidity | AbsoluteValidity | EnhancedValidity


def validity_format(validity: ValidityPeriod | None) -> ValidityFormat:
    match validity:
        case None:
            return ValidityFormat.ABSENT
        case RelativeValidity():
            return ValidityFormat.RELATIVE
        case AbsoluteValidity():
            return ValidityFormat.ABSOLUTE
        case EnhancedValidity():
            return ValidityFormat.ENHANCED


def read_validity(reader: OctetReader, form: ValidityFormat) -> ValidityPeriod | None:
    """Raises SmsParseError if octets are missing."""
    match form:
        case ValidityFormat.ABSENT:
            return None
        case ValidityFormat.RELATIVE:
            return RelativeValidity(reader.octet("TP-VP"))
        case ValidityFormat.ABSOLUTE:
            return AbsoluteValidity(Timestamp.read(reader, "TP-VP"))
        case ValidityFormat.ENHANCED:
            return EnhancedValidity(reader.take(TIMESTAMP_OCTETS, "TP-VP"))

"""E.164 number that an address of a short message stands for (TS 23.040 §9.1.2.5, TS 23.003 §3.3)."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers

from ims_core.wire.sms.address import Address, TypeOfNumber

__all__ = ["dialled_number"]

_CACHED_NUMBERS = 4096


def dialled_number(address: Address, region: str) -> str | None:
    """With "+"; None if *address* is a name, a short code or no possible number. *region* (ISO 3166, such as US) says
    how numbers that are not international are dialled."""
    digits = address.value
    if address.type_of_number is TypeOfNumber.ALPHANUMERIC or not (digits.isascii() and digits.isdigit()):
        return None
    if address.type_of_number is TypeOfNumber.INTERNATIONAL:
        return f"+{digits}"
    return _national(digits, region)


@lru_cache(_CACHED_NUMBERS)
def _national(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

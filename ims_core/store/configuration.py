"""What an autoconfiguration server remembers of each subscriber: versions handed out, tokens, the operator's will."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ims_core.store.record_table import RecordTable, RecordType

__all__ = ["CONFIGURATIONS", "ConfigurationRecord", "ConfigurationStore", "StoredToken"]


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token handed to a client, as the hexadecimal SHA-256 of its octets; *expires_at* in seconds since the epoch.

    *device* is the IMEI that the client named, "" if none."""

    digest: str
    expires_at: float
    device: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationRecord:
    """State of one subscriber. *msisdn* is an E.164 number with "+".

    *version* is that of the settings whose *fingerprint* is kept, 0 before the first document. *imposed_version* (0 or
    negative) takes its place while the operator says so, *imposed_validity_s* that of the usual validity.

    *participant_key* is the public key (DER) of the subscriber's encryption identity, and *identity_proof* what was
    signed for it; b"" for a subscriber none of whose devices has named one."""

    msisdn: str
    version: int = 0
    fingerprint: str = ""
    tokens: tuple[StoredToken, ...] = ()
    imposed_version: int | None = None
    imposed_validity_s: int | None = None
    participant_key: bytes = b""
    identity_proof: bytes = b""


CONFIGURATIONS: RecordType[ConfigurationRecord] = RecordType(
    "configurations", ConfigurationRecord, lambda record: record.msisdn
)
ConfigurationStore: TypeAlias = RecordTable[ConfigurationRecord]

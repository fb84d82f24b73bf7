"""Secrets of a group that crossed a link in clear: whoever saw one can read what was sealed with it.

Some are known by the octets of the trace alone. From the secret of an epoch, or the one by which it is joined, follows
its authenticator (RFC 9420 §8), which stands beside every sealed message; and lines of a key log open what they open.
Others are looked for if a key log of the run is given: the keys of single messages."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.secret import Secret
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, MlsGroupInfo
from rcs_sim.e2ee.content_types import MlsContentType, is_on_mls_plane
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.server_message import decode_server_message
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.key_log import KeyLog
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.scenario.oracle_hops import Carried, Hop, hop_of
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["SecretLeak", "SecretLeaks"]

_SUITE = CipherSuite.of(2)  # of every group (digest §2.1)
_SECRET_OCTETS = 32
_MAX_CANDIDATES = 10_000  # of a trace
_MAX_CONTEXTS = 64  # by which one of them is tried as the secret that joins
_HEX, _DIGITS = rb"[0-9A-Fa-f]+", rb"[0-9]+"
_LINE = re.compile(
    rb" ".join((rb"EPOCH", _HEX, _DIGITS, _DIGITS, _HEX))
    + rb"|"
    + rb" ".join((rb"MESSAGE", _HEX, _DIGITS, _DIGITS, _DIGITS, _DIGITS, _HEX, _HEX))
)
_MAX_LINES, _MAX_ALIKE = 512, 8  # of one record, of one place: each that opens nothing is tried with every message
_KEY_FIELD = 6  # of a line about a message


@dataclass(frozen=True, slots=True)
class SecretLeak:
    """*what* crossed *hop*. It opens what was sealed in the epoch of *authenticator*, or what *keys* open."""

    hop: Hop
    what: str
    authenticator: bytes = b""
    keys: KeyLog | None = None

    def opens(self, carried: Carried) -> bool:
        if self.keys is None:
            return bool(self.authenticator) and carried.epoch_authenticator == self.authenticator
        return carried.media_type == MlsContentType.MESSAGE and _opens(self.keys, carried.octets)


class SecretLeaks:
    """Of one trace. *candidates* are those of `oracle_keys.candidates_in`; *key_log* are the lines of its key log, if
    there is one."""

    __slots__ = ("_authenticators", "_contents", "_contexts", "_derived", "leaks")

    def __init__(
        self,
        records: Sequence[TraceRecord],
        candidates: Iterable[tuple[TraceRecord, frozenset[bytes]]],
        contents: Sequence[Carried],
        key_log: Iterable[str] = (),
    ) -> None:
        self._authenticators = {each.epoch_authenticator for each in contents} - {b""}
        self._contents = contents
        self._contexts: list[bytes] | None = None
        self._derived: dict[bytes, tuple[str, bytes]] = {}
        lines = list(key_log)
        self.leaks = [*self._of_epochs(candidates), *_of_lines(records), *_of_messages(records, lines)]

    def _of_epochs(self, candidates: Iterable[tuple[TraceRecord, frozenset[bytes]]]) -> Iterator[SecretLeak]:
        for record, octets in candidates if self._authenticators else ():
            for candidate in octets:
                what, authenticator = self._known(candidate)
                if authenticator:
                    yield SecretLeak(hop_of(record), what, authenticator)

    def _known(self, candidate: bytes) -> tuple[str, bytes]:
        """What *candidate* is, and the authenticator of its epoch."""
        if len(candidate) != _SECRET_OCTETS or candidate in self._authenticators:
            return "", b""
        found = self._derived.get(candidate)
        if found is None:
            is_tried = len(self._derived) < _MAX_CANDIDATES
            found = self._derived[candidate] = self._derive(Secret(candidate)) if is_tried else ("", b"")
        return found

    def _derive(self, secret: Secret) -> tuple[str, bytes]:
        authenticator = _SUITE.derive_secret(secret, "authentication").octets
        if authenticator in self._authenticators:
            return "the secret of an epoch", authenticator
        if self._contexts is None:
            self._contexts = list(dict.fromkeys(_contexts(self._contents)))[:_MAX_CONTEXTS]
        for context in self._contexts:
            member = _SUITE.extract(secret, _SUITE.zero_secret())
            epoch = _SUITE.expand_with_label(member, "epoch", context, _SECRET_OCTETS)
            authenticator = _SUITE.derive_secret(epoch, "authentication").octets
            if authenticator in self._authenticators:
                return "the secret by which an epoch is joined", authenticator
        return "", b""


# --- what the octets say ----------------------------------------------------------------------------------------------


def _contexts(contents: Iterable[Carried]) -> Iterator[bytes]:
    """GroupContexts of the GroupInfos that crossed links."""
    distinct = {carried.octets: carried for carried in contents if is_on_mls_plane(carried.media_type)}
    for carried in distinct.values():
        for info in _group_infos(carried):
            try:
                body = MLSMessage.decode(info).body if info[2:4] == b"\x00\x04" else GroupInfo.decode(info)
            except TlsDecodeError:
                continue
            if isinstance(body, GroupInfo):
                yield body.group_context.encode()


def _group_infos(carried: Carried) -> Iterator[bytes]:
    try:
        match carried.media_type:
            case MlsContentType.CLIENT:
                found = ClientMlsRcsMessage.decode(carried.octets).group_info
            case MlsContentType.SERVER:
                arm = decode_server_message(carried.octets)
                found = arm if isinstance(arm, MlsGroupInfo) else None
            case MlsContentType.GROUP_INFO_REQUEST:
                found = MlsEnhancedGroupInfo.decode(carried.octets).group_info
            case _:
                return
    except ProtobufError:
        return
    if found is not None:
        yield found.group_info


def _of_lines(records: Iterable[TraceRecord]) -> Iterator[SecretLeak]:
    """Lines of a key log that somebody sent."""
    for record in records:
        if record.kind is RecordKind.MESSAGE and b"EPOCH " in record.raw:
            keys = _key_log(_bounded(_LINE.finditer(record.raw)))
            if keys is not None:
                yield SecretLeak(hop_of(record), "a key log", keys=keys)


def _bounded(found: Iterable[re.Match[bytes]]) -> Iterator[str]:
    alike = Counter[str]()
    for line in islice((each[0].decode("ascii") for each in found), _MAX_LINES):
        place = line.rsplit(" ", 2)[0] if line.startswith("MESSAGE") else line.rsplit(" ", 1)[0]
        alike[place] += 1
        if alike[place] <= _MAX_ALIKE:
            yield line


def _key_log(lines: Iterable[str]) -> KeyLog | None:
    try:
        return KeyLog(lines)
    except TlsDecodeError:
        return None


def _opens(keys: KeyLog, octets: bytes) -> bool:
    try:
        body = MLSMessage.decode(octets).body
        return isinstance(body, PrivateMessage) and keys.open(body) is not None
    except (TlsDecodeError, MlsValidationError):
        return False


# --- what a key log says ----------------------------------------------------------------------------------------------


def _of_messages(records: Iterable[TraceRecord], lines: Sequence[str]) -> Iterator[SecretLeak]:
    """Keys of the log, wherever they stand."""
    epochs = [line for line in lines if line.startswith("EPOCH ")]
    known = {line.split()[_KEY_FIELD]: line for line in lines if line.startswith("MESSAGE ")}
    forms = dict(_forms(known))
    for record in records if forms else ():
        if record.kind is RecordKind.MESSAGE:
            for line in {forms[each] for each in _pieces(record.raw) if each in forms}:
                yield SecretLeak(hop_of(record), "the key of a message", keys=_key_log([*epochs, line]))


def _forms(known: Mapping[str, str]) -> Iterator[tuple[bytes, str]]:
    for digits, line in known.items():
        key = bytes.fromhex(digits)
        yield digits.lower().encode(), line
        for written in (b64encode(key), urlsafe_b64encode(key)):
            yield written.rstrip(b"="), line


_PIECES = re.compile(rb"[A-Za-z0-9+/_-]{22,}")


def _pieces(octets: bytes) -> Iterator[bytes]:
    """Runs of digits, as they are and in small letters."""
    for run in _PIECES.findall(octets):
        yield run
        yield run.lower()

"""ServerMlsRcsMessage, the body of ``message/mls-rcs-server``: what the focus answers and fans out (RCC.16 §7.10).

Arms 1, 3 and 4 are observed in deployment. The schema of arm 2 is known by elimination, its inner path 2.1.2.{1,3} is
observed; the rest of it, and field 2 of arm 4, are this simulator's (choice).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.treeless_welcome import append_tree, split_welcome
from rcs_sim.mls.codec import Reader, TlsDecodeError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.messages import MLSMessage, PublicMessage
from rcs_sim.wire.protobuf import (
    ProtobufError,
    ProtobufReader,
    encode_bool_field,
    encode_message_field,
    encode_octets_field,
    encode_repeated_octets_field,
    encode_text_field,
    parse_fields,
)

__all__ = [
    "AcceptedMessage",
    "CollectedMessages",
    "CommitBundle",
    "RawMlsMessage",
    "ServerMlsRcsMessage",
    "collect_mls_messages",
    "decode_server_message",
    "encode_server_message",
    "is_lone_message",
    "read_server_body",
]

MAX_DEPTH = 6  # of messages in messages that are searched (RCC.16 digest §4.7)
MAX_CONTAINERS = 512  # messages that are searched, whatever a peer nests
_WELCOME = b"\x00\x01\x00\x03"  # MLSMessage: mls10, mls_welcome
_RAW, _COMMIT_BUNDLE, _GROUP_INFO, _ACCEPTED = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class RawMlsMessage:
    """Arm 1: one MLSMessage, bare or, from some peers, behind an MLS length header: *message* is as received."""

    message: bytes

    @property
    def mls_message(self) -> bytes:
        """The MLSMessage without a length header."""
        return _without_header(self.message)


@dataclass(frozen=True, slots=True)
class CommitBundle:
    """Arm 2. *welcome* goes with *ratchet_tree*, *commit* with *key_delivery* (MLSMessages(PrivateMessage), to be
    applied after it). *state* is the state after all of it. A device joins if the Welcome is for it, else it applies
    the commit."""

    welcome: bytes = b""
    ratchet_tree: bytes = b""
    commit: bytes = b""
    key_delivery: tuple[bytes, ...] = ()
    state: EpochIdentifier | None = None
    epoch_authenticator: bytes = b""


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """Arm 4: the request with this control id was accepted. *state* is the state after it, None from a server that
    says nothing of the kind; *converged*: every participant's server has acknowledged the fan-out."""

    message_id: str
    state: EpochIdentifier | None = None
    converged: bool = False


ServerMlsRcsMessage: TypeAlias = RawMlsMessage | CommitBundle | MlsGroupInfo | AcceptedMessage


def decode_server_message(octets: bytes) -> ServerMlsRcsMessage:
    """The first arm that is known, in wire order. Raises ProtobufError, and nothing else, on any octets."""
    for field in parse_fields(octets):
        if not isinstance(field.value, bytes):
            continue
        match field.number:
            case 1:
                return RawMlsMessage(field.value)
            case 2:
                return _decode_commit_bundle(field.value)
            case 3:
                return MlsGroupInfo.decode(field.value)
            case 4:
                return _decode_accepted(field.value)
    raise ProtobufError("no arm of ServerMlsRcsMessage", spec="RCC.16 §7.10", raw=octets)


def read_server_body(octets: bytes) -> ServerMlsRcsMessage:
    """The robust receive rule: the arm if it is one that says something, else the MLSMessages that stand somewhere in
    the body, in their places of arm 2 or 1. A body may be a lone MLSMessage, bare or behind a length header, a Welcome
    with the nodes of its tree behind it. Raises ProtobufError, and nothing else, on any octets."""
    try:
        arm = decode_server_message(octets)
    except ProtobufError:
        return _arm_of_messages(octets)
    says_nothing = isinstance(arm, CommitBundle) and not arm.welcome and not arm.commit
    return _arm_of_messages(octets) if says_nothing else arm


def is_lone_message(octets: bytes) -> bool:
    """Whether a body is an MLSMessage and nothing else, bare or behind a length header."""
    return _wire_format(_without_header(octets)) is not None


def _arm_of_messages(octets: bytes) -> ServerMlsRcsMessage:
    found = _collect(octets)
    of_kind = {kind: [each for each in found if found[each] is kind] for kind in set(found.values())}
    public = of_kind.get(WireFormat.PUBLIC_MESSAGE, [])
    commit = next(filter(_is_commit, public), b"")
    welcome = next(iter(of_kind.get(WireFormat.WELCOME, [])), b"")
    if welcome or commit:
        tree = _tree_beside(octets) if welcome else b""
        return CommitBundle(welcome, tree, commit, tuple(of_kind.get(WireFormat.PRIVATE_MESSAGE, [])))
    if public:
        return RawMlsMessage(public[0])
    raise ProtobufError("no message of the control plane", spec="RCC.16 §7.10", raw=octets)


def _is_commit(octets: bytes) -> bool:
    body = MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body
    return isinstance(body, PublicMessage) and isinstance(body.content.content, Commit)


def _tree_beside(octets: bytes) -> bytes:
    """The first field that is a ``ratchet_tree<V>``; empty without one."""
    for value in _walk(octets):
        try:
            if RatchetTreeExtension.decode(value).nodes:
                return value
        except TlsDecodeError:
            continue
    return b""


def encode_server_message(arm: ServerMlsRcsMessage) -> bytes:
    """The message with this arm."""
    match arm:
        case RawMlsMessage(message):
            return encode_message_field(_RAW, message)
        case CommitBundle():
            return encode_message_field(_COMMIT_BUNDLE, _encode_commit_bundle(arm))
        case MlsGroupInfo():
            return encode_message_field(_GROUP_INFO, arm.encode())
        case AcceptedMessage():
            return encode_message_field(_ACCEPTED, _encode_accepted(arm))


def _encode_commit_bundle(bundle: CommitBundle) -> bytes:
    welcome = encode_octets_field(1, bundle.welcome) + encode_octets_field(2, bundle.ratchet_tree)
    commit = encode_octets_field(1, bundle.commit) + encode_repeated_octets_field(3, bundle.key_delivery)
    delivery = encode_octets_field(1, welcome) + encode_octets_field(2, commit)
    state = encode_message_field(2, None if bundle.state is None else bundle.state.encode())
    return encode_octets_field(1, delivery) + state + encode_octets_field(4, bundle.epoch_authenticator)


def _decode_commit_bundle(octets: bytes) -> CommitBundle:
    bundle = ProtobufReader(octets)
    delivery = ProtobufReader(bundle.message(1) or b"")
    welcome, commit = ProtobufReader(delivery.message(1) or b""), ProtobufReader(delivery.message(2) or b"")
    state = bundle.message(2)
    return CommitBundle(
        welcome.octets(1),
        welcome.octets(2),
        commit.octets(1),
        commit.repeated_octets(3),
        None if state is None else EpochIdentifier.decode(state),
        bundle.octets(4),
    )


def _encode_accepted(accepted: AcceptedMessage) -> bytes:
    state = b""
    if accepted.state is not None:
        identifier = encode_message_field(1, accepted.state.encode())
        state = encode_message_field(2, identifier + encode_bool_field(2, accepted.converged))
    return encode_text_field(1, accepted.message_id) + state


def _decode_accepted(octets: bytes) -> AcceptedMessage:
    """Field 2 of other servers is opaque: what is no AcceptedState there reads as no state."""
    reader = ProtobufReader(octets)
    message_id, opaque = reader.text(1), reader.message(2)
    try:
        state = ProtobufReader(opaque or b"")
        identifier = state.message(1)
        held = None if identifier is None else EpochIdentifier.decode(identifier)
        return AcceptedMessage(message_id, held, state.bool(2))
    except ProtobufError:
        return AcceptedMessage(message_id)


@dataclass(frozen=True, slots=True)
class CollectedMessages:
    """The MLSMessages found somewhere in a body, none twice. With *is_whole* the body has to be looked at as a whole,
    since a Welcome's ratchet tree stands beside it, or since nothing was found."""

    messages: tuple[bytes, ...]
    is_whole: bool


def collect_mls_messages(octets: bytes) -> CollectedMessages:
    """The robust receive rule for a body of another layout: length-delimited fields are walked breadth-first, and what
    parses as an MLSMessage, bare or behind an MLS length header, is kept in order. Never raises; bounded."""
    found = _collect(octets)
    return CollectedMessages(tuple(found), not found or WireFormat.WELCOME in found.values())


def _collect(octets: bytes) -> dict[bytes, WireFormat]:
    found: dict[bytes, WireFormat] = {}
    for value in _walk(octets):
        message = _without_header(value)
        wire_format = _wire_format(message)
        if wire_format is not None:
            found.setdefault(message, wire_format)
    return found


def _walk(octets: bytes) -> Iterator[bytes]:
    """*octets* and the length-delimited fields in it, breadth-first; MLSMessages are not opened."""
    waiting, opened = deque([(octets, 0)]), 0
    while waiting:
        container, depth = waiting.popleft()
        yield container
        is_open = depth < MAX_DEPTH and opened < MAX_CONTAINERS
        if is_open and _wire_format(_without_header(container)) is None:
            opened += 1
            waiting += [(value, depth + 1) for value in _length_delimited(container)]


def _length_delimited(octets: bytes) -> list[bytes]:
    try:
        fields = parse_fields(octets)
    except ProtobufError:
        return []
    return [each.value for each in fields if isinstance(each.value, bytes)]


def _without_header(octets: bytes) -> bytes:
    """The content of ``opaque<V>`` that takes up all of *octets*; *octets* as they are if they are none."""
    if octets[:2] == b"\x00\x01":
        return octets
    reader = Reader(octets)
    try:
        content = reader.opaque()
        reader.finish()
    except TlsDecodeError:
        return octets
    return content


def _wire_format(octets: bytes) -> WireFormat | None:
    """That of the MLSMessage that *octets* are, None if they are none."""
    if octets[:2] != b"\x00\x01":
        return None
    try:
        return MLSMessage.decode(octets, RCS_CUSTOM_BODIES).wire_format
    except TlsDecodeError:
        return WireFormat.WELCOME if _is_treeless_welcome(octets) else None


def _is_treeless_welcome(octets: bytes) -> bool:
    """Whether the nodes of a tree stand behind a Welcome, and nothing else."""
    if octets[:4] != _WELCOME:
        return False
    try:
        found = split_welcome(octets)
        return bool(found.ratchet_tree) and append_tree(found.welcome, found.ratchet_tree) == octets
    except TlsDecodeError:
        return False

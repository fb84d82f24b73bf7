"""A secret of a group is known wherever it crosses a link; whoever saw it is a reader, and the lock lies."""

from __future__ import annotations

import hmac
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_hops import Carried, Hop
from rcs_sim.scenario.oracle_keys import candidates_in
from rcs_sim.scenario.oracle_secrets import SecretLeaks
from tests.support.oracle_traces import SIP_WAY, SealedConversation, TraceScript
from tests.support.outside_reading import LoggedKeys, carried, private
from tests.support.outside_wire import framed, identifier, uint, value
from tests.support.recorded_life import Life, the_life

_SECRET = bytes(range(100, 132))
_HOP = Hop(1, 0.0, "alice", "red.messaging_server", "", "SIP", "TCP")
_TEXT = "meet me at the old harbour"


def _expanded(secret: bytes, label: bytes, context: bytes = b"") -> bytes:
    """ExpandWithLabel to 32 octets (RFC 9420 §8)."""
    info = (32).to_bytes(2, "big") + framed(b"MLS 1.0 " + label) + framed(context)
    return hmac.new(secret, info + b"\x01", "sha256").digest()


def _conversation(authenticator: bytes) -> TraceScript:
    """One message, sealed in the epoch of *authenticator*."""
    script = SealedConversation()
    script.send_sealed("a", _TEXT)
    old, new = b"A" * 43 + b"=", b64encode(authenticator)
    script.records = [replace(record, raw=record.raw.replace(old, new)) for record in script.records]
    assert Oracle(script.records).violations() == []
    return script


def _found(script: TraceScript) -> dict[str, str]:
    """Why a lock lies, by the phone that shows it."""
    return {each.phone: each.why for each in Oracle(script.records).violations() if each.kind.value == "lying lock"}


_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "base64": lambda secret: b'{"epoch_secret":"' + b64encode(secret) + b'"}',
    "base64url": lambda secret: b"GET /?s=" + urlsafe_b64encode(secret).rstrip(b"=") + b" HTTP/1.1",
    "hexadecimal": lambda secret: b"X-Debug: " + secret.hex().encode() + b"\r\n",
    "capitals": lambda secret: b"X-Debug: " + secret.hex().upper().encode() + b"\r\n",
}


@pytest.mark.parametrize("form", _FORMS)
def test_the_secret_of_an_epoch_makes_the_lock_lie(form: str) -> None:
    script = _conversation(_expanded(_SECRET, b"authentication"))
    number = script.crosses("alice", "red.analytics", _FORMS[form](_SECRET), protocol="HTTP")
    why = f"the secret of an epoch went from alice to red.analytics (record {number})"
    assert _found(script) == {"alice": why, "bob": why}
    assert "red.analytics" in Oracle(script.records).readers("a")


def test_that_of_another_epoch_says_nothing_of_this_one() -> None:
    script = _conversation(_expanded(_SECRET, b"authentication"))
    for octets in (bytes(32), _expanded(_SECRET, b"authentication"), _SECRET[::-1]):
        script.crosses("alice", "red.analytics", b"k=" + b64encode(octets), protocol="HTTP")
    assert _found(script) == {}


def test_the_secret_by_which_an_epoch_is_joined_does_so_too() -> None:
    """It takes the GroupContext, which is in the request to the focus."""
    context = b"\x00\x01\x00\x02" + framed(b"group") + bytes(7) + b"\x01" + framed(bytes(32)) * 2 + framed(b"")
    info = b"\x00\x01\x00\x04" + context + framed(b"") + framed(bytes(32)) + bytes(4) + framed(bytes(70))
    epoch = _expanded(hmac.new(_SECRET, bytes(32), "sha256").digest(), b"epoch", context)
    authenticator = _expanded(epoch, b"authentication")
    script = _conversation(authenticator)
    state = identifier(1, 1, authenticator)
    shown = value(1, info) + value(4, authenticator)
    request = uint(1, 3) + value(2, b"group") + value(4, state) + value(5, state) + value(6, b"c") + value(9, shown)
    script.carries("control", request, SIP_WAY[:4], content_type="message/mls-rcs-client")
    assert _found(script) == {}
    script.crosses("bob", "blue.analytics", b"joiner " + _SECRET.hex().encode(), protocol="HTTP")
    assert set(_found(script)) == {"alice", "bob"}
    assert "the secret by which an epoch is joined went from bob" in _found(script)["bob"]


# --- of a real run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def life() -> Life:
    return the_life("ios", "android")


def _message(life: Life, text: str) -> tuple[str, str]:
    """imdn.Message-ID of the message with this text, and the line of the log that opens it."""
    keys = LoggedKeys(life.lines)
    for each in carried(life.records):
        if each.cpim.content_type == "message/mls":
            message = private(each.cpim.body)
            try:
                found = keys.open(message)
            except KeyError:
                continue
            if found.payload.endswith(text.encode()):
                place = f"{message.group_id.hex()} {message.epoch} {found.leaf} 2 {found.generation} "
                lines = [line for line in life.lines if line.startswith(f"MESSAGE {place}")]
                return each.cpim.message_id, next(line for line in lines if _opens(line, life, message.epoch, each))
    raise AssertionError(text)


def _opens(line: str, life: Life, epoch: int, each: object) -> bool:
    epochs = [one for one in life.lines if one.startswith("EPOCH") and one.split()[2] == str(epoch)]
    try:
        return bool(LoggedKeys([*epochs, line]).open(private(each.cpim.body)))  # type: ignore[attr-defined]  # a Carried
    except KeyError:
        return False


def _with(life: Life, octets: bytes) -> list[TraceRecord]:
    last = life.records[-1]
    more = {"number": last.number + 1, "at": last.at + 1, "source": "tablet", "target": "red.analytics"}
    record = TraceRecord(**more, kind=RecordKind.MESSAGE, protocol="HTTP", raw=octets)  # type: ignore[arg-type]  # fields by name, of several types
    return [*life.records, record]


def test_without_a_leak_a_key_log_changes_nothing(life: Life) -> None:
    honest, informed = Oracle(life.records), Oracle(life.records, life.lines)
    assert honest.document() == informed.document()
    assert honest.violations() == []


@pytest.mark.parametrize("form", ["hexadecimal", "capitals", "base64", "base64url"])
def test_the_key_of_a_message_is_found_where_a_key_log_names_it(life: Life, form: str) -> None:
    message_id, line = _message(life, "begin 1 of alice")
    octets = b"POST /log HTTP/1.1\r\n\r\n" + _FORMS[form](bytes.fromhex(line.split()[6]))
    records = _with(life, octets)
    assert Oracle(records).violations() == []  # nobody can tell what these octets are
    oracle = Oracle(records, life.lines)
    assert {(each.kind.value, each.message.id) for each in oracle.violations()} == {("lying lock", message_id)}
    assert "the key of a message went from tablet to red.analytics" in oracle.violations()[0].why
    assert "red.analytics" in oracle.readers(message_id)


def test_lines_of_a_key_log_that_somebody_sends_need_no_other(life: Life) -> None:
    message_id, line = _message(life, "begin 2 of bob")
    epochs = [each for each in life.lines if each.startswith("EPOCH") and each.split()[2] == line.split()[2]]
    octets = b"POST /log HTTP/1.1\r\n\r\n" + "\n".join(dict.fromkeys([*epochs, line])).encode()
    oracle = Oracle(_with(life, octets))
    assert {(each.kind.value, each.message.id) for each in oracle.violations()} == {("lying lock", message_id)}
    assert "a key log went from tablet to red.analytics" in oracle.violations()[0].why


@given(st.binary(max_size=300))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    for begin in (b"", b"EPOCH 00 1 2 ", b"EPOCH 00 1 99 00", b"MESSAGE 00 1 0 2 0 00 00", b"A" * 43, b"f" * 64):
        record = TraceRecord(7, 0.0, RecordKind.MESSAGE, "alice", "red.kds", protocol="HTTP", raw=begin + octets)
        found = SecretLeaks(
            [record], candidates_in([record]), [], ["EPOCH 00 1 2 00", "MESSAGE 00 1 0 2 0 00 00"]
        ).leaks
        sealed = Carried(hop=_HOP, media_type="message/mls", octets=octets)
        assert not any(each.opens(sealed) for each in found)


def test_lines_without_end_cost_no_time_without_end(life: Life) -> None:
    group = next(line for line in life.lines if line.startswith("EPOCH")).split()
    place = f"{group[1]} {group[2]} 0 2 0"
    lines = "\n".join([" ".join(group), *(f"MESSAGE {place} {number:032x} {number:024x}" for number in range(20_000))])
    begun = time.process_time()
    assert Oracle(_with(life, lines.encode())).violations() == []
    assert time.process_time() - begun < 5

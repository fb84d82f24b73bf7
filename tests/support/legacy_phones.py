"""Two phones of a stub world that have the legacy scheme, and the directory that they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ims_core.errors import ConnectTimeout
from ims_core.transport.http_message import HeaderFields, HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.client.e2ee.legacy_account import LegacyAccount
from rcs_sim.client.e2ee.legacy_encryption import LegacyEncryption
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy
from tests.support.kds import KdsSide, response_of
from tests.support.stub_core import ALICE, BOB, World, device

__all__ = ["Directory", "LegacyPair", "digits", "legacy_pair"]


def digits(number: str) -> str:
    return number.lstrip("+")


class Directory:
    """An HTTP client with a key distribution server behind it, which may be down."""

    def __init__(self) -> None:
        self.side = KdsSide().start()
        self.is_down = False
        self.calls: list[str] = []

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        path = "/" + url.split("/", 3)[3]
        self.calls.append(path)
        if self.is_down:
            raise ConnectTimeout("down")
        request = HttpRequest(method, path, headers, body, peer="10.1.0.1:5000")
        return response_of(self.side._kept(self.side.server.handle(request, self.side.now)))

    def client(self) -> KdsClient:
        return KdsClient(self, "http://127.0.1.41:80")


@dataclass
class LegacyPair:
    """Alice and Bob, registered."""

    world: World
    directory: Directory
    alice: Phone
    bob: Phone

    async def equip(self, phone: Phone, number: str, seed: str = "") -> LegacyEncryption:
        """Gives a phone that is on the scheme: its keys are published, and its Contact says so."""
        account = LegacyAccount(
            Tokens(f"{phone.name} {seed}"), phone._alarms, phone._errands, phone.display, lambda: None
        )
        legacy = LegacyEncryption(account, phone._messenger, phone._inbox, phone._errands)
        legacy.configured(self.directory.client(), digits(number))
        await account.first_verdict(10)
        phone._messenger.encryption = legacy
        ims = phone._ims
        assert ims is not None
        ims.ua.features = ims.ua.features.replace(";+vnd.google.rcs.encrypted", "") + ";+vnd.google.rcs.encrypted"
        return legacy

    def in_clear(self, text: str) -> bool:
        """Whether the network has seen *text*."""
        return bool(self.world.core.of("MESSAGE", text))

    @staticmethod
    def side(phone: Phone) -> LegacyEncryption:
        found = phone._messenger.encryption
        assert isinstance(found, LegacyEncryption)
        return found


@asynccontextmanager
async def legacy_pair(world: World, policy: DevicePolicy | None = None) -> AsyncIterator[LegacyPair]:
    """Both phones, on and equipped."""
    policy = policy or device("android")
    alice = world.phone("alice", ALICE, policy, reads_after_s=1.0)
    bob = world.phone("bob", BOB, policy, reads_after_s=1.0)
    pair = LegacyPair(world, Directory(), alice, bob)
    for phone, number in ((alice, ALICE), (bob, BOB)):
        await phone.power_on()
        await pair.equip(phone, number)
    yield pair

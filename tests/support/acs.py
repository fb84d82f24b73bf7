"""Subscribers for tests of autoconfiguration, and both ends of it joined without sockets."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from ims_core.wire.secret import Secret
from rcs_sim.client.provisioning import Provisioning
from rcs_sim.client.provisioning_values import (
    Access,
    ProvisioningOutput,
    ProvisioningSettings,
    ProvisioningSnapshot,
    Save,
    SendHttpRequest,
    Subscription,
)
from rcs_sim.server.config_actions import ConfigAction, Persist, Respond, SendSms
from rcs_sim.server.config_encryption import EncryptionService
from rcs_sim.server.config_server import ConfigServer
from rcs_sim.server.config_settings import ConfigServerSettings, ProvisioningRecord
from rcs_sim.wire.autoconfig import ProvisioningDocument
from rcs_sim.wire.rcs_configuration import PcscfAddress, RcsConfiguration

__all__ = ["ALICE", "ALICE_SIM", "CONFIG_URL", "AcsPair", "SubscriberTable", "document_of", "response_of"]

CONFIG_URL = "https://config.example/"
ALICE_SIM = Subscription("001010000000101", "+12025550101")
ALICE = ProvisioningRecord(
    msisdn="+12025550101",
    imsi="001010000000101",
    configuration=RcsConfiguration(
        msisdn="+12025550101",
        public_identities=("sip:+12025550101@ims.example", "tel:+12025550101"),
        private_identity="001010000000101@ims.example",
        home_domain="ims.example",
        pcscf_addresses=(PcscfAddress("127.0.1.10", 5060),),
        realm="ims.example",
        user_name="001010000000101@ims.example",
        password=Secret.of_text("lab-secret-A"),
        standalone_auth=1,
    ),
)


class SubscriberTable:
    """A ProvisioningSource over a list that a test may change."""

    def __init__(self, *records: ProvisioningRecord) -> None:
        self.records = list(records)

    def by_msisdn(self, msisdn: str) -> ProvisioningRecord | None:
        return next((record for record in self.records if record.msisdn == msisdn), None)

    def by_imsi(self, imsi: str) -> ProvisioningRecord | None:
        return next((record for record in self.records if record.imsi == imsi), None)


def response_of(actions: list[ConfigAction]) -> HttpResponse:
    """The answer among the actions of a request, which has to stand last."""
    (answer,) = [action for action in actions if isinstance(action, Respond)]
    assert actions[-1] is answer
    return answer.response


def document_of(response: HttpResponse) -> ProvisioningDocument:
    assert response.status == 200
    return ProvisioningDocument.parse(response.body)


@dataclass
class AcsPair:
    """A phone and a server. `run` carries requests and SMS between them until both are quiet; time stands still unless
    `wait` moves it to the phone's next deadline. *log* has (scheme, query) of each request and the status it got."""

    settings: ConfigServerSettings = field(default_factory=lambda: ConfigServerSettings(uses_tls=True))
    access: Access = Access.CELLULAR
    url: str = CONFIG_URL
    loses_sms: bool = False
    subscription: Subscription = ALICE_SIM
    now: float = 1_000_000.0
    encryption: EncryptionService | None = None
    imei: str = "490154203237518"

    def __post_init__(self) -> None:
        self.source = SubscriberTable(ALICE)
        self.server = ConfigServer(self.source, self.settings, Tokens("acs"), self.encryption)
        self.requests: list[HttpRequest] = []
        self.statuses: list[int] = []
        self.outputs: list[ProvisioningOutput] = []
        self.replaced: HttpResponse | None = None  # given in place of the server's next answer
        self.phone = self._new_phone(None)

    def _new_phone(self, snapshot: ProvisioningSnapshot | None) -> Provisioning:
        settings = ProvisioningSettings(
            configuration_url=self.url, enrichment_url=self.url.replace("https:", "http:"), imei=self.imei
        )
        return Provisioning(settings, self.subscription, Tokens("phone"), access=self.access, snapshot=snapshot)

    def power_cycle(self) -> list[ProvisioningOutput]:
        """The phone forgets all but its snapshot, and boots."""
        self.phone = self._new_phone(self.phone.snapshot)
        return self.run(self.phone.boot(self.now))

    def operate(self, actions: list[ConfigAction]) -> list[ProvisioningOutput]:
        """Carries out what the operator did at the server."""
        return self.run(self._deliver(actions))

    def wait(self) -> list[ProvisioningOutput]:
        """Moves time to the phone's next deadline."""
        deadline = self.phone.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self.run(self.phone.handle_deadline(self.now))

    def run(self, outputs: list[ProvisioningOutput]) -> list[ProvisioningOutput]:
        """Everything that the phone put out but requests and Save, until it is quiet."""
        shown: list[ProvisioningOutput] = []
        while outputs:
            output, *outputs = outputs
            if isinstance(output, SendHttpRequest):
                outputs += self._exchange(output)
            elif not isinstance(output, Save):
                shown.append(output)
        self.outputs += shown
        return shown

    def _exchange(self, output: SendHttpRequest) -> list[ProvisioningOutput]:
        parts = urlsplit(output.url)
        is_enriched = parts.scheme == "http" and self.phone.access is Access.CELLULAR
        added = (("X-MSISDN", "+12025550101"),) if is_enriched else ()
        headers = (("Host", parts.netloc), *output.headers, *added)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = HttpRequest("GET", target, headers, scheme=parts.scheme)
        self.requests.append(request)
        actions = self.server.handle(request, self.now, trusts_enrichment=is_enriched)
        response = response_of(actions) if self.replaced is None else self.replaced
        self.replaced = None
        self.statuses.append(response.status)
        return self._deliver(actions) + self.phone.received(output.number, response, self.now)

    def _deliver(self, actions: list[ConfigAction]) -> list[ProvisioningOutput]:
        outputs: list[ProvisioningOutput] = []
        for action in actions:
            match action:
                case SendSms(_, content, port) if not self.loses_sms:
                    outputs += self.phone.sms_received(content, port, self.now)
                case Persist() | Respond() | SendSms():
                    pass
        return outputs

"""What a P-CSCF does to responses, and what they leave behind (TS 24.229 §5.2.6; digest §15.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ims_core.nodes.access_table import Access
from ims_core.nodes.decision import Decision, Reject, ResponseHook, Target
from ims_core.nodes.dialog_table import REFRESH_METHODS
from ims_core.nodes.header_group import HeaderGroup
from ims_core.transport.sip_stack import FailureReason, Outcome
from ims_core.wire.sip.address_headers import PPreferredIdentity
from ims_core.wire.sip.core_headers import SubscriptionState
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import Request, Response

if TYPE_CHECKING:
    from ims_core.nodes.pcscf_core import PcscfCore

__all__ = ["DialogHook", "DialogToUeHook", "InviteFromCoreHook", "InviteHook", "ToCoreHook", "ToUeHook"]

_TO_CORE_ONLY = HeaderGroup("P-Charging-Vector", "P-Charging-Function-Addresses", "P-Access-Network-Info")
_CLAIMS_OF_UE = HeaderGroup(
    *("P-Asserted-Identity", "P-Preferred-Identity", "P-Charging-Vector", "P-Charging-Function-Addresses")
)


class ToCoreHook(ResponseHook):
    """Responses from the core to a UE."""

    __slots__ = ()

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        _TO_CORE_ONLY.strip(editor, response)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        """The S-CSCF cannot be reached: 504, which makes the UE register again (TS 24.229 §5.2.6.3.2)."""
        is_broken = not isinstance(outcome, Response) and outcome.reason is FailureReason.TRANSPORT
        return Reject(504) if is_broken else None


@dataclass(frozen=True, slots=True)
class InviteHook(ResponseHook):
    """An INVITE of the UE: its 2xx makes the dialog that BYE and UPDATE have to belong to."""

    core: PcscfCore
    request: Request
    contact_id: str
    token: str
    is_ue_caller: bool

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        _TO_CORE_ONLY.strip(editor, response)
        self._confirm(response)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        return self.core.to_core.replace(outcome, target, now)

    def _confirm(self, response: Response) -> None:
        if 200 <= response.status < 300:
            self.core.dialogs.confirm(
                self.request,
                response,
                contact_id=self.contact_id,
                token=self.token,
                is_ue_caller=self.is_ue_caller,
                now=self.core.now(),
            )
            self.core.effects.rearm()


@dataclass(frozen=True, slots=True)
class DialogHook(ResponseHook):
    """A request of the UE within an INVITE dialog."""

    core: PcscfCore
    request: Request
    token: str

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        _TO_CORE_ONLY.strip(editor, response)
        _follow_dialog(self.core, self.request, response, self.token)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        if not isinstance(outcome, Response) and self.request.method == "BYE":
            self.core.dialogs.remove(self.request, self.token)
        return self.core.to_core.replace(outcome, target, now)


@dataclass(frozen=True, slots=True)
class ToUeHook(ResponseHook):
    """Responses of a UE: it may prefer an identity, the P-CSCF asserts it (TS 24.229 §5.2.6.4)."""

    core: PcscfCore
    request: Request
    access: Access | None
    called: str | None

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        _CLAIMS_OF_UE.strip(editor, response)
        identity = self._identity(response)
        if identity:
            editor.append("P-Asserted-Identity", identity)
        if self.request.method == "NOTIFY" and response.status < 300:
            self._follow_reg_event()

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        """The flow broke while it was used: 430 (RFC 5626 §5.3)."""
        is_broken = not isinstance(outcome, Response) and outcome.reason is FailureReason.TRANSPORT
        return Reject(430) if is_broken else None

    def _identity(self, response: Response) -> str | None:
        access = self.access
        if access is None:
            return self.called
        if response.has("P-Preferred-Identity"):
            preferred = response.get(PPreferredIdentity)
            known = None if preferred is None else self.core.accesses.identity_of(access, str(preferred.uri))
            if known is not None:
                return f"<{known}>"
        return self.called or f"<{access.default_impu}>"

    def _follow_reg_event(self) -> None:
        """The network told the UE that its registration is over (TS 24.229 §5.2.3)."""
        if not (self.request.text("Event") or "").lower().startswith("reg") or self.access is None:
            return
        state = self.request.get(SubscriptionState)
        if state is not None and state.state == "terminated" and state.reason != "timeout":
            self.core.end_access(self.access)


@dataclass(frozen=True, slots=True)
class InviteFromCoreHook(InviteHook):
    """An INVITE to the UE."""

    called: str | None

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        access = self.core.accesses.get(self.contact_id)
        ToUeHook(self.core, self.request, access, self.called).edit(editor, response, target)
        self._confirm(response)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        return ToUeHook(self.core, self.request, None, self.called).replace(outcome, target, now)


@dataclass(frozen=True, slots=True)
class DialogToUeHook(ResponseHook):
    """A request to the UE within an INVITE dialog."""

    core: PcscfCore
    request: Request
    access: Access | None
    token: str
    called: str | None

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        ToUeHook(self.core, self.request, self.access, self.called).edit(editor, response, target)
        _follow_dialog(self.core, self.request, response, self.token)

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        return ToUeHook(self.core, self.request, self.access, self.called).replace(outcome, target, now)


def _follow_dialog(core: PcscfCore, request: Request, response: Response, token: str) -> None:
    if (request.method == "BYE" and response.status >= 200) or response.status == 481:
        core.dialogs.remove(request, token)
    elif request.method in REFRESH_METHODS and 200 <= response.status < 300:
        core.dialogs.refreshed(response, token, core.now())
        core.effects.rearm()

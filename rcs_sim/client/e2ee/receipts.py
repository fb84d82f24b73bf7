"""Receipts about sealed messages: signed from the group, and believed only with a signature (RCC.16 §7.6, §7.7.2)."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.pager import compose_receipt, date_time_of
from rcs_sim.e2ee.derived_content import signed_octets_of
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.failure_reports import DueReport
from rcs_sim.e2ee.member.operations import E2eeRefused
from rcs_sim.e2ee.member.receipt_signature import ReceiptVerdict
from rcs_sim.e2ee.mls_headers import receipt_headers, receipt_signature
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus

__all__ = ["FIRST_ERA", "SignedReceipts"]

_NOBODY_CAN_TELL = (ReceiptVerdict.FORGED, ReceiptVerdict.UNKNOWN_EPOCH)
FIRST_ERA = 1  # of a receipt without Era-ID (digest RCC.16 §6.4)


class SignedReceipts:
    """Makes and checks them."""

    __slots__ = ("_context",)

    def __init__(self, context: E2eeContext) -> None:
        self._context = context

    def sign(self, thread: EncryptedThread, receipt_id: str, imdn: Imdn) -> tuple[CpimHeader, ...] | None:
        """Signature and era, in this order and nothing else; None where there is no group to sign with."""
        identifier = thread.engine.identifier
        content = None if identifier is None else signed_octets_of(imdn, receipt_id, identifier.era_id)
        if identifier is None or content is None:
            return None
        try:
            signature = thread.engine.sign_receipt(content[0])
        except E2eeRefused as refused:
            self._context.note(thread, "receipt not sent", str(refused), imdn.message_id)
            return None
        return receipt_headers(signature, identifier.era_id)

    def verdict(self, thread: EncryptedThread, imdn: Imdn, cpim: CpimMessage, sender: str) -> ReceiptVerdict | None:
        """What the signature on *imdn* is worth; None without one. *sender* is the asserted number, bare digits. Where
        nobody arbitrates two groups may have the same numbers, and a receipt does not say of which it is: one from the
        group that lost cannot be told from a forged one, and is worth no more (choice)."""
        signature, era_id = receipt_signature(cpim)
        if not signature:
            return None
        era = FIRST_ERA if era_id is None else era_id
        expected = signed_octets_of(imdn, cpim.message_id or "", era)  # the full form, and the old one (choice)
        if expected is None:
            return ReceiptVerdict.OTHER_STATEMENT
        identifier = thread.engine.identifier
        if identifier is not None and era > identifier.era_id:
            return ReceiptVerdict.UNKNOWN_EPOCH  # its epochs count anew: the Welcome has not come yet
        verdict = thread.engine.verify_receipt(signature, expected, sender)
        if identifier is None or verdict not in _NOBODY_CAN_TELL:
            return verdict
        may_be_of_rival = verdict is ReceiptVerdict.FORGED and not self._context.is_arbitrated(thread)
        is_bygone = era < identifier.era_id or may_be_of_rival
        return ReceiptVerdict.BYGONE_EPOCH if is_bygone else verdict

    def failure(self, thread: EncryptedThread, due: DueReport) -> bytes:
        """The CPIM that tells the sender of a message why it was not read: signed where there is a group; else bare,
        with the reason only where it asks for a Welcome (digest RCC.16 §6.4)."""
        context = self._context
        now = date_time_of(context.messenger.alarms.wall())
        receipt_id = context.new_id()
        imdn = Imdn(due.message_id, now, ImdnKind.DELIVERY, ImdnStatus.FAILED, client_failure_reason=due.reason)
        headers = self.sign(thread, receipt_id, imdn)
        if headers is None and due.reason is not ClientFailureReason.CONTROL_MESSAGE_FAILED:
            imdn = replace(imdn, client_failure_reason=None)
        return compose_receipt(imdn, receipt_id, now, headers or ())

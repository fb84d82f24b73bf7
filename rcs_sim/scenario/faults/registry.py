"""Every word of the vocabulary (design §8), and the near ones of a word that is none."""

from __future__ import annotations

from difflib import get_close_matches

from rcs_sim.scenario.faults.acs_faults import ACS_FAULTS
from rcs_sim.scenario.faults.adversary_faults import ADVERSARY_FAULTS
from rcs_sim.scenario.faults.caps_faults import CAPS_FAULTS
from rcs_sim.scenario.faults.cert_faults import CERT_FAULTS
from rcs_sim.scenario.faults.content_faults import CONTENT_FAULTS
from rcs_sim.scenario.faults.device_faults import DEVICE_FAULTS
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind
from rcs_sim.scenario.faults.ims_faults import IMS_FAULTS
from rcs_sim.scenario.faults.kds_faults import KDS_FAULTS
from rcs_sim.scenario.faults.mls_faults import MLS_FAULTS
from rcs_sim.scenario.faults.msrp_faults import MSRP_FAULTS
from rcs_sim.scenario.faults.net_faults import NET_FAULTS
from rcs_sim.scenario.faults.sip_faults import SIP_FAULTS
from rcs_sim.scenario.faults.sms_faults import SMS_FAULTS

__all__ = ["FAULTS", "fault_kind", "near_words"]

_NEAR = 0.5  # of a match; below that a word has nothing to do with another one
_MOST_NEAR = 5

FAULTS: dict[str, FaultKind] = {
    kind.word: kind
    for kind in (
        *NET_FAULTS,
        *SIP_FAULTS,
        *IMS_FAULTS,
        *ACS_FAULTS,
        *CAPS_FAULTS,
        *MSRP_FAULTS,
        *CONTENT_FAULTS,
        *SMS_FAULTS,
        *KDS_FAULTS,
        *CERT_FAULTS,
        *MLS_FAULTS,
        *DEVICE_FAULTS,
        *ADVERSARY_FAULTS,
    )
}


def near_words(word: str) -> list[str]:
    """Words that *word* may have meant, the nearest first: spelled alike, or of the same name in another group."""
    folded = word.lower().replace("-", "_")
    group, _, name = folded.rpartition(".")
    alike = get_close_matches(folded, FAULTS, _MOST_NEAR, _NEAR)
    same_name = [each for each in FAULTS if name and each.rpartition(".")[2] == name]
    same_group = [each for each in FAULTS if group and each.partition(".")[0] == group]
    return list(dict.fromkeys((*alike[:1], *same_name, *alike[1:], *same_group)))[:_MOST_NEAR]


def fault_kind(word: str) -> FaultKind:
    """Raises FaultError that lists near words."""
    kind = FAULTS.get(word)
    if kind is None:
        near = near_words(word)
        hint = f"did you mean {', '.join(near)}?" if near else "`rcs-sim faults` lists them"
        raise FaultError(f"there is no fault {word!r}: {hint}")
    return kind

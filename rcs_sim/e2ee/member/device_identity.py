"""Who a device is to its groups: number, client id, two keys, the chain that certifies the leaf key (RCC.16 §5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.credential_identity import chain_of
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.signature import SignatureKey

__all__ = ["DeviceIdentity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """*msisdn* is bare E.164 digits, *client_id* the CN of the leaf, *chain* DER octets, leaf first and without the
    root. The participant key lasts for a provisioning, the leaf key for the life of the client; they are two keys.
    *ends_s* is when the first certificate of the chain ends, seconds since 1970: the others are worth nothing then."""

    msisdn: str
    client_id: str
    participant_key: SignatureKey
    leaf_key: SignatureKey
    chain: tuple[bytes, ...]
    certificate: Certificate = field(init=False, repr=False, compare=False)
    ends_s: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises DerError if the leaf cannot be read, LocalProtocolError if it certifies another key or number."""
        leaf = read_certificate(self.chain[0])
        if leaf.point != self.leaf_key.public or leaf.msisdn != self.msisdn:
            raise LocalProtocolError("this certificate is not of this device", spec="RCC.16 §5.1")
        object.__setattr__(self, "certificate", leaf)
        object.__setattr__(self, "ends_s", min(each.not_after_s for each in chain_of(self.credential) or (leaf,)))

    @property
    def credential(self) -> X509Credential:
        """As it stands in a LeafNode."""
        return X509Credential(self.chain)

    def signature_key(self, public: bytes) -> SignatureKey:
        """The private half of a key that a snapshot names. Raises LocalProtocolError if it is not ours."""
        if public != self.leaf_key.public:
            raise LocalProtocolError("the private half of this key is not here", spec="RCC.16 §5.1")
        return self.leaf_key

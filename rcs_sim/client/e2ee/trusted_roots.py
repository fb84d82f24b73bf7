"""The list of trust anchors that a phone holds (RCC.16 §4.1, digest §1.4, §14.8): fetched when its configuration names
another one, replaced as a whole, kept when the new one is not to be used."""

from __future__ import annotations

from ims_core.errors import RemoteProtocolError, TransportError
from rcs_sim.client.display import Display
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.e2ee.trust_anchors import TrustAnchorList, read_trust_list
from rcs_sim.wire.encryption_parameters import EncryptionParameters

__all__ = ["RETRY_S", "TrustedRoots"]

RETRY_S = 1800.0  # after a list that could not be had, while an old one is held (choice)


class TrustedRoots:
    """Of one phone. *held* is the list in force, *is_behind* whether the configuration names another one that could not
    be had."""

    __slots__ = ("_display", "_signer", "held", "is_behind")

    def __init__(self, display: Display) -> None:
        self._display = display
        self._signer = b""
        self.held: TrustAnchorList | None = None
        self.is_behind = False

    def forget(self) -> None:
        """Another participant: what counts is what the new provisioning brings, whatever its generation is."""
        self.held, self._signer, self.is_behind = None, b"", False

    async def fetch(self, kds: KdsClient, parameters: EncryptionParameters) -> bool:
        """Makes sure that the list which *parameters* name is held; whether it is another one than before. Generations
        are counted by a signer: those of two carriers say nothing about each other (choice). Raises KdsCallRefused,
        TrustListRefused, TransportError if none is held at all."""
        if self._is_named_by(parameters):
            return False
        try:
            found = await self._ask(kds, parameters)
        except (TransportError, RemoteProtocolError) as error:
            if self.held is None:
                raise
            self.is_behind = True
            self._display.state("trust anchors", "kept", reason=str(error))
            return False
        self.held, self._signer, self.is_behind = found, parameters.trust_anchors_signer, False
        return True

    def _is_named_by(self, parameters: EncryptionParameters) -> bool:
        held, generation = self.held, parameters.trust_anchors_generation
        is_named = held is not None and held.generation == generation
        return is_named and self._signer == parameters.trust_anchors_signer

    async def _ask(self, kds: KdsClient, parameters: EncryptionParameters) -> TrustAnchorList:
        signer, generation = parameters.trust_anchors_signer, parameters.trust_anchors_generation or 0
        octets = await kds.trust_list(parameters.trust_anchors_uri, generation)
        known = self.held.generation if self.held is not None and signer == self._signer else None
        return read_trust_list(octets, signer, generation, known)

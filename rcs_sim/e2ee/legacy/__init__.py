"""The one-to-one scheme from before MLS (digest RCC.16 §14.12): X3DH and a double ratchet. Wire and keys are ours, they
stand in for a scheme that is not public (choice)."""

"""What a device does with its groups (RCC.16): enrolment, KeyPackages, sealing, opening, Commits, receipts, repair."""

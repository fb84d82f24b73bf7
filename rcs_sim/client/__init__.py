"""The emulated handset."""

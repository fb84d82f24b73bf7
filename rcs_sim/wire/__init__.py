"""Sans-IO RCS payloads."""

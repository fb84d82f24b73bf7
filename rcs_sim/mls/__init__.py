"""Messaging Layer Security (RFC 9420), sans-IO, over the primitives of ``cryptography``."""

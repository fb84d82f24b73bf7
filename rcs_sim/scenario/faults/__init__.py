"""The fault vocabulary: one implementation for YAML, Python, the command line and reports."""

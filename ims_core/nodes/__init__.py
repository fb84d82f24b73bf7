"""One module per IMS network function."""

"""What differs between devices, as data."""

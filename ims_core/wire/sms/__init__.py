"""Short message service: TP and RP layers and the alphabets (TS 23.040, TS 24.011, TS 23.038)."""

"""Translation between bytes and meaning: pure, no clock, no I/O, no randomness."""

"""Which account serves, and what an outcome does to it: pure decisions."""

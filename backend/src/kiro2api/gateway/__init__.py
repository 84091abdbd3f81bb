"""The use-cases: one request through accounts and back, and the upkeep of the accounts."""

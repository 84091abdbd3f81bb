"""The hub: one internal model of a chat request and of a reply's events."""

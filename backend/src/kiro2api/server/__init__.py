"""The data plane over ASGI: what clients call."""

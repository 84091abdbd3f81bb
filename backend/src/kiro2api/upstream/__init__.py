"""The adapter to the live service: libcurl transfers on the event loop."""

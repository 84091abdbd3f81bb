"""Codecs that know no vendor's JSON: event stream frames, server-sent events, the JSON door."""

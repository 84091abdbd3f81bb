"""The upstream spoke: build what CodeWhisperer receives, read what it answers."""

"""A gateway that lets Anthropic and OpenAI clients use the Kiro accounts of its operator."""

__version__ = "0.1.0"

"""The Anthropic Messages dialect: parse what a client sends, render what it reads."""

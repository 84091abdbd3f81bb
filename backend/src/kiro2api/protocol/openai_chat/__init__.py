"""The OpenAI Chat Completions dialect: parse what a client sends, render what it reads."""

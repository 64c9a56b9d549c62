"""A Telegram bot that says what to wear. This file imports nothing: the health check loads it."""

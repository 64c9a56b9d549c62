"""A stand-in for the three services that the bot calls: it works without an account.

It speaks the parts of the Telegram Bot API, the OpenAI chat completions API and Open-Meteo that
the bot uses, with the standard library alone. The tests build their own servers on the same parts.
No image holds it.
"""

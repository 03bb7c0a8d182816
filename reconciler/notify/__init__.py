"""Telling people: documents posted to webhooks.

What may live here: the way a document gets to an address, with its retries. What may not: what is worth telling (that
is `plan.notice`), how it reads (that is `render`), and secrets: `wiring` takes them from the environment.
"""

"""Renders plans, results, statuses and histories as text, Markdown and JSON.

Allowed here: pure functions that convert such a value to a string or a JSON value. In text and Markdown, secrets
are masked and control characters are escaped. JSON is complete. Not allowed: files, clocks, printing, and decisions.
"""

"""Renders plans, results, statuses and histories as text, Markdown and JSON.

What may live here: pure functions that convert such a value to a string or a JSON value. In text and Markdown, secrets
are masked and control characters are escaped. JSON is complete. What may not: files, clocks, printing, and decisions.
"""

"""Renders plans, results, statuses and histories as text, Markdown and JSON.

This package contains pure functions that convert these values to strings or JSON values. In text and Markdown, secrets
are masked and control characters escaped; JSON is complete. It must not use files or clocks, print, or make decisions.
"""

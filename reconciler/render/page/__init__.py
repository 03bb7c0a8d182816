"""Renders the page: a static site about one target, with its runs, specs, dependencies and the last plan.

What may live here: pure functions from plans, statuses and runs to HTML, and the templates, style and script of the
page. What may not: files, clocks, servers, and decisions. Text of others is escaped and masked before a template shows
it, and templates escape it for HTML.
"""

"""Renders the page: a static site about one target, with its runs, specs, dependencies and the last plan.

Allowed here: pure functions from plans, statuses and runs to HTML, and the templates, style and script of the
page. Not allowed: files, clocks, servers, and decisions. Text from users and AWS is escaped and masked before it is
passed to a template, and templates escape it for HTML.
"""

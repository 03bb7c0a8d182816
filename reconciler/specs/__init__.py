"""Reads the files of a project into validated, rendered specs, and locates every problem in them.

This package contains the listing of files, the strict YAML and JSON readers, placeholders, problems, git, the scaffold
and the JSON Schema. It must not use AWS or the ledger, or decide what runs.
"""

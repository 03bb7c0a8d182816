"""Reads the files of a project into validated, rendered specs, and locates every problem in them.

What may live here: the listing of files, the strict YAML and JSON readers, placeholders, problems, git, the scaffold
and the JSON Schema. What may not: AWS, the ledger, or decisions about what runs.
"""

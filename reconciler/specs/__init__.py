"""Reads the files of a project into validated, rendered specs, with the location of everything that is wrong.

What may live here: listing files, the strict YAML and JSON readers, placeholders, problems, git, the scaffold and the
JSON Schema. What may not: AWS, the ledger, and decisions about what runs.
"""

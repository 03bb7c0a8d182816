"""Reads the files of a project into validated, rendered specs, with the location of everything that is wrong.

Listing files, the strict YAML and JSON readers, placeholders, problems, git, the scaffold and the JSON Schema belong
here. AWS, the ledger, and decisions about what runs do not.
"""

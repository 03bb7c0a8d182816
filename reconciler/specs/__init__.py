"""Reading: from files to checked, rendered specs, with the place of everything that is wrong.

What may live here: finding files, the strict YAML and JSON reader, placeholders, problems and their places, the
checkout's git facts, the scaffold and the JSON Schema. What may not: AWS, the ledger, and any decision about what runs.
"""

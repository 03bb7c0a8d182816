"""What users write, as frozen pydantic models: spec documents, the project file, and the requests of each AWS API.

What may live here: shapes, limits and the rules AWS documents, field for field under AWS's and Kubernetes' names.
One module or package per AWS service; `kinds` is their registry. What may not: files, clients, clocks, and anything
that decides what runs.
"""

"""Models what users write, with pydantic: spec documents, the project file, and the requests of each AWS API.

What may live here: shapes, limits and AWS's documented rules, under AWS's and Kubernetes' field names, in one package
per service that `kind` registers. What may not: files, clients, clocks, and decisions about what runs.
"""

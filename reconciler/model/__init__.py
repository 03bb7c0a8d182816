"""Models what users write, with pydantic: spec documents, the project file, and the requests of each AWS API.

Shapes, limits and AWS's documented rules belong here, under AWS's and Kubernetes' field names; one package per service,
registered in `kind`. Files, clients, clocks, and decisions about what runs do not.
"""

"""Models the documents that users write, with pydantic: specs, the project file, and the requests of each AWS API.

This package contains shapes, limits and AWS's documented rules, under the field names of AWS and Kubernetes, in one
package per service, which `kind` registers. It must not use files, clients or clocks, or decide what runs.
"""

"""Models the documents that users write, with pydantic: specs, the project file, and the requests of each AWS API.

Allowed here: shapes, limits and AWS's documented rules, under the field names of AWS and Kubernetes, in one
package per service, which `kind` registers. Not allowed: files, clients, clocks, or decisions about what runs.
"""

STATE_FOLDER = ".reconciler"
"""The folder in a project with the state of its emulator targets."""

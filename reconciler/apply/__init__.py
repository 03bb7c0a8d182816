"""Applies a plan: the only package that orders effects.

`protocol` is the submission protocol and `actions` the other procedures, as generators over effects, without I/O;
`interpreter` performs the effects through the ports; `executor` runs the actions of a plan in parallel and isolates
the failure of one job from the others. Not allowed here: decisions about what to run, AWS or storage libraries,
anything that prints.
"""

"""Carrying out a plan: the only place that orders effects.

`protocol` is the submission protocol and `decided` the other steps, as generators over effects, without I/O; `driver`
carries effects out against the ports; `execute` runs the actions of a plan side by side and keeps one job's failure
from the others. What may not live here: decisions about what to run, AWS or storage libraries, anything that prints.
"""

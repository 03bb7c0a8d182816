"""The composition root: what one command needs of the world, put together and taken apart again.

What may live here: choosing the project, target and specs of a command, opening its ledger, reaching AWS or the
emulator, and running the parts of a pass in order. What may not: the command line itself, and decisions that a plan,
a guard or the protocol makes. boto3 and the emulator are imported when they are first needed, not before.
"""

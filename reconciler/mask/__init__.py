"""What must not be shown, and what must be made visible, wherever people read.

What may live here: which keys and shapes look like secrets, their replacement in texts, requests and log records, and
the escaping of characters that hide or move other characters. Standard library only, and cheap to import: every
command writes logs through it. What may not: rendering, and anything that decides what runs.
"""

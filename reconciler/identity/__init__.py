"""Which run is which: canonical form, digest, client token, and times as text.

What may live here: pure functions from content to identity. Golden tests pin every one of them: an upgrade of the
reconciler or of a library never changes a digest or a token of an unchanged spec. What may not: anything that decides.
"""

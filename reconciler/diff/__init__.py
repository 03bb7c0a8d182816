"""What differs between two requests, for people.

What may live here: the comparison of two requests field by field, and how the place of a field is written. What may
not: deciding whether there is a difference (the digest does), masking, and printing.
"""

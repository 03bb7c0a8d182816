"""Tests assumptions that only a real AWS account can confirm. Only `make aws-proof` runs them.

docs/promise.md describes the requirements, the cost, and what depends on each assumption.
tests/project/test_aws_proof.py runs the same tests against the emulator with short waits, so this code is known to
work.
"""

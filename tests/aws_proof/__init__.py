"""Questions that only an AWS account can answer, run by `make aws-proof` and by nothing else.

docs/promise.md says what is needed, what it costs, and what rests on each answer. The same questions are put to the
emulator, with short waits, in tests/project/test_aws_proof.py: so this code is known to run.
"""

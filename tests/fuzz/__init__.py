"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz.harness TARGET SECONDS CORPUS`; `make soak` runs all."""

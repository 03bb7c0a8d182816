"""Fuzzes parsers and printers: `make test` damages seeds, `make soak` runs atheris on every target."""

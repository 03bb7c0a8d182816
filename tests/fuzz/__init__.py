"""Fuzzes parsers and printers: `make test` spoils seeds, `make soak` runs atheris on every target."""

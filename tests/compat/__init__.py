"""Tests, only through the command line and files, that this version reads and continues what release 0.1.0 wrote."""

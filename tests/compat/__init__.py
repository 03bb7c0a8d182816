"""Checks that this version reads and continues what release 0.1.0 wrote, through the command line and files only."""

"""What release 0.1.0 wrote, read and continued by every later version, through the command line and files only."""

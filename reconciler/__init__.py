"""GitOps for job runs: specs in git, a plan on the pull request, each run submitted at most once."""

__version__ = "0.1.0"

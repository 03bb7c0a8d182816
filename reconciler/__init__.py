"""GitOps for job runs: specs in git, a plan on the pull request, each run submitted at most once."""

__all__ = ["__commit__", "__version__"]

try:
    from reconciler._version import __commit__, __version__
except ImportError:  # the files of a checkout that was never built
    __version__, __commit__ = "0+unknown", "None"

#!/usr/bin/env bash
# Installs reconciler from the checkout that contains this action, once for each job, with the dependency versions in
# .ci/constraints.txt.
set -euo pipefail

root=$(cd "$GITHUB_ACTION_PATH/../../.." && pwd)
venv=$RUNNER_TEMP/reconciler
if [ "$(cat "$venv/source" 2>/dev/null)" = "$root" ]; then
  exit 0
fi
if ! python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "::error::python3 is $(python3 -I -V 2>&1). reconciler needs Python 3.11 or newer: use actions/setup-python first."
  exit 1
fi
# GitHub unpacks actions from an archive, in which git has written the commit for `reconciler --version`.
commit=$(sed -n 's/^commit: \([0-9a-f]\{40,64\}\)$/\1/p' "$root/.git_archival.txt")
if [ -n "$commit" ]; then
  export SETUPTOOLS_SCM_PRETEND_METADATA="{node=\"g$commit\"}"
fi
python3 -I -m venv --clear "$venv"
PIP_CONSTRAINT=$root/.ci/constraints.txt PIP_BUILD_CONSTRAINT=$root/.ci/constraints.txt PIP_USER=0 \
  "$venv/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-input "$root"
"$venv/bin/reconciler" --version
printf '%s' "$root" > "$venv/source"

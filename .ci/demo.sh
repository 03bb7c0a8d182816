#!/usr/bin/env bash
# Shows the whole workflow on the embedded emulator: no AWS account, no credentials, no network.
#
# Every command below really runs, in a temporary git repository with a copy of specs/, and prints its own output. The
# demo stops at the first unexpected exit code.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/reconciler-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
PATH=${DEMO_BIN:-$here/.venv/bin}:$PATH # the folder of the reconciler command

# The machine's own settings must not affect the demo.
unset "${!AWS_@}" "${!RECONCILER_@}" "${!GIT_@}"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Demo GIT_AUTHOR_EMAIL=demo@example.com GIT_COMMITTER_NAME=Demo GIT_COMMITTER_EMAIL=demo@example.com

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n# %s\n' "$*"; }

# expect CODE COMMAND...: prints the command, runs it, and stops the demo at another exit code.
expect() {
  local expected=$1 code=0
  shift
  printf '\n$ %s\n' "$*"
  "$@" || code=$?
  if [ "$code" -ne "$expected" ]; then
    printf '\ndemo: "%s" exited with code %s instead of %s\n' "$*" "$code" "$expected" >&2
    exit 1
  fi
}

commit() { git add --all && git commit --quiet --message "$1"; }

# replace FILE OLD NEW: edits a file in place, and fails if it does not contain OLD.
replace() {
  local text
  text=$(<"$1")
  case $text in
    *"$2"*) printf '%s\n' "${text/"$2"/$3}" >"$1" ;;
    *) printf 'demo: no "%s" in %s\n' "$2" "$1" >&2 && exit 1 ;;
  esac
}

# until_ended NAME: waits until the spec's run has ended, for at most half a minute.
until_ended() {
  for _ in $(seq 60); do
    if reconciler status --only "$1" --format json | grep -Eq '"state": ?"(succeeded|failed|cancelled)"'; then
      return
    fi
    sleep 0.5
  done
  printf 'demo: the run of %s did not end in time\n' "$1" >&2
  exit 1
}

cp -R "$here/specs" "$work/specs"
rm -rf "$work/specs/.reconciler"
cd "$work"
git init --quiet --initial-branch main
git config user.email demo@example.com
printf '.reconciler/\n' >.gitignore
replace specs/reconciler.yaml "emulator: true" "emulator: {runSeconds: 1}"
commit "The jobs of the analytics team"

say "The jobs are YAML files in git: nine, and two scheduled ones for staging and prod. Validate them for every target."
expect 0 reconciler validate

say "Plan: show what would happen. A plan submits and writes nothing. (Here only for two of the nine jobs.)"
expect 0 reconciler plan --only orders-rollup --only exchange-rates

say "Apply: submit all nine jobs, each once. The target 'local' is an AWS emulator inside the command."
expect 0 reconciler apply --yes

say "Plan again: nothing has changed in git, so there is nothing to do, however the runs ended."
expect 0 reconciler plan
until_ended orders-rollup

say "Change a spec, as a pull request would: more memory for the executors of one job."
replace specs/orders-rollup.yaml "spark.executor.memory: 4g" "spark.executor.memory: 8g"
expect 0 git --no-pager diff --unified=0 --no-color
commit "Orders rollup: 8 GB executors, the November volume needs them"

say "The plan shows the one setting that differs from the last run. No other job runs again."
expect 0 reconciler plan
expect 0 reconciler apply --yes

say "A later pass, as in a scheduled job, has nothing to submit. It records how the runs ended."
until_ended orders-rollup
expect 0 reconciler reconcile

say "Status: which run each spec should have, and how it ended."
expect 0 reconciler status

say "Why did this run happen? The ledger records the commit, the person and the request of every run."
expect 0 reconciler why orders-rollup

say "Done: nine jobs were submitted once, a second plan changed nothing, an edit was planned field by field and ran as"
printf '# generation 2 of its spec, and the last run was traced back to its commit.\n'

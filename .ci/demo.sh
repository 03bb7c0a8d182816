#!/usr/bin/env bash
# The whole story on the embedded emulator: no AWS account, no credentials, no network.
#
# Every command below is run for real, in a temporary git repository with a copy of specs/, and its output is what you
# see. The first exit code that is not the expected one ends the demo.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/reconciler-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
PATH=${DEMO_BIN:-$here/.venv/bin}:$PATH # where the reconciler command is

# Nothing of the machine's own settings has a part in this.
unset "${!AWS_@}" "${!RECONCILER_@}" "${!GIT_@}"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Demo GIT_AUTHOR_EMAIL=demo@example.com GIT_COMMITTER_NAME=Demo GIT_COMMITTER_EMAIL=demo@example.com

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n# %s\n' "$*"; }

# expect CODE COMMAND...: prints the command as you would type it, then what it prints; stops at another exit code.
expect() {
  local expected=$1 code=0
  shift
  printf '\n$ %s\n' "$*"
  "$@" || code=$?
  if [ "$code" -ne "$expected" ]; then
    printf '\ndemo: "%s" ended with exit code %s, not %s\n' "$*" "$code" "$expected" >&2
    exit 1
  fi
}

commit() { git add --all && git commit --quiet --message "$1"; }

# replace FILE OLD NEW: edits a file in place; it is an error if OLD is not in it.
replace() {
  local text
  text=$(<"$1")
  case $text in
    *"$2"*) printf '%s\n' "${text/"$2"/$3}" >"$1" ;;
    *) printf 'demo: no "%s" in %s\n' "$2" "$1" >&2 && exit 1 ;;
  esac
}

# until_ended NAME: asks until the spec's run has ended, for at most half a minute.
until_ended() {
  for _ in $(seq 60); do
    if reconciler status --only "$1" --format json | grep -Eq '"state": ?"(succeeded|failed|cancelled)"'; then
      return
    fi
    sleep 0.5
  done
  printf 'demo: the run of %s has not ended in time\n' "$1" >&2
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

say "Jobs as YAML files in git: nine, and two that run by the clock in staging and prod. Are they valid, for every target?"
expect 0 reconciler validate

say "What would happen? A plan calls nothing and writes nothing. (Here only two of the nine.)"
expect 0 reconciler plan --only orders-rollup --only exchange-rates

say "Make AWS match; the target 'local' is an AWS inside the command. All nine are submitted, each once."
expect 0 reconciler apply --yes

say "Once more: nothing has changed in git, so there is nothing to do, whatever became of the runs."
expect 0 reconciler plan
until_ended orders-rollup

say "A change, as a pull request would bring it: more memory for the executors of one job."
replace specs/orders-rollup.yaml "spark.executor.memory: 4g" "spark.executor.memory: 8g"
expect 0 git --no-pager diff --unified=0 --no-color
commit "Orders rollup: 8 GB executors, the November volume needs them"

say "The plan names the one setting that differs from what ran last. Nothing else runs again."
expect 0 reconciler plan
expect 0 reconciler apply --yes

say "A later pass, as a clock would run it, has nothing to submit and records how the runs ended."
until_ended orders-rollup
expect 0 reconciler reconcile

say "What is asked for, and what became of it."
expect 0 reconciler status

say "Why did this run happen? The ledger knows the commit, the person and the request of every run."
expect 0 reconciler why orders-rollup

say "Shown: nine jobs submitted once, a second look that changed nothing, an edit planned field by field and run as"
printf '# generation 2 of its spec, and the way from the last run back to its commit.\n'

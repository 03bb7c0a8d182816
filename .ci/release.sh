#!/usr/bin/env bash
# Builds the files of a release into release/: dist/ (sdist and wheel), sbom.cdx.json, and notes.md from the changelog.
#
#   .ci/release.sh v0.2.0     fails unless the tag, the built version and a section of CHANGELOG.md agree
set -euo pipefail
cd "$(dirname "$0")/.."

tag=$1
version=${tag#v}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
export PIP_CONSTRAINT=$PWD/.ci/constraints.txt PIP_BUILD_CONSTRAINT=$PWD/.ci/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1

rm -rf release
mkdir release
awk -v section="## [$version]" '
  index($0, "## ") == 1 { shown = index($0, section) == 1; next }
  shown { print }
' CHANGELOG.md > release/notes.md
if ! grep -q '[^[:space:]]' release/notes.md; then
  echo "CHANGELOG.md has no section \"## [$version]\" with entries for the tag $tag" >&2
  exit 1
fi

python3 -m venv "$tools"
"$tools/bin/pip" install build==1.6.1 twine==6.2.0 cyclonedx-bom==7.5.0
"$tools/bin/python" -m build --outdir release/dist . > /dev/null
for file in "release/dist/job_reconciler-$version.tar.gz" "release/dist/job_reconciler-$version-py3-none-any.whl"; do
  if [ ! -f "$file" ]; then
    echo "the tag $tag built other files: $(ls release/dist)" >&2
    exit 1
  fi
done
"$tools/bin/twine" check --strict release/dist/*

# The SBOM lists what a user gets: the wheel and its pinned dependencies, without the tools.
python3 -m venv "$tools/installed"
"$tools/installed/bin/pip" install "release/dist/job_reconciler-$version-py3-none-any.whl"
"$tools/installed/bin/reconciler" --version
"$tools/bin/cyclonedx-py" environment --output-reproducible --output-format JSON \
  --output-file release/sbom.cdx.json "$tools/installed/bin/python"

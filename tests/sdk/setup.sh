#!/usr/bin/env bash
# Installs the OpenAI SDKs that tests/live/sdk.rs speaks with, into target/sdk: pip's into venv/, npm's into node/.
#
# Run once, needs python3 with venv, npm, and their registries. The tests run without them and say that they were skipped.
set -Eeuo pipefail
cd "$(dirname "$0")/../.."

readonly openai_python=${OPENAI_PYTHON:-3.57.0} openai_node=${OPENAI_NODE:-7.57.0} node=${NODE:-22}
readonly folder="${CARGO_TARGET_DIR:-$PWD/target}/sdk"

mkdir -p "$folder/node"
[[ -x $folder/venv/bin/python ]] || python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "openai==$openai_python"
# The SDK wants a newer Node.js than Debian has; npm has that too.
npm install --prefix "$folder/node" --no-audit --no-fund --loglevel=error "node@$node" "openai@$openai_node"
"$folder/venv/bin/python" -c 'import openai; print("openai for Python", openai.__version__)'
"$folder/node/node_modules/.bin/node" --version

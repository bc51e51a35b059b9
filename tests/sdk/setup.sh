#!/usr/bin/env bash
# Installs the clients that tests/live/sdk.rs and agents.rs speak with, into target/sdk: pip's into venv/, npm's into node/.
#
# Run once, needs python3 with venv, npm, and their registries. The tests run without them and say that they were skipped.
set -Eeuo pipefail
cd "$(dirname "$0")/../.."

# A new version is a commit of its own.
readonly python=(
    openai==3.57.0 anthropic==2.13.0 google-genai==3.6.1 boto3==1.44.8
    langchain-openai==1.7.4 langchain-anthropic==1.7.10 litellm==1.110.2
)
# The SDKs want a newer Node.js than Debian has; npm has that too.
readonly node=(
    node@22 openai@7.57.0 ai@6.0.326 @ai-sdk/openai@3.0.141 @ai-sdk/anthropic@3.0.140 @ai-sdk/google@3.0.141 zod@4.6.7
    @anthropic-ai/sdk@1.13.0 @google/genai@3.3.0
    @anthropic-ai/claude-code@2.1.197 @openai/codex@0.169.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33
)
readonly folder="${CARGO_TARGET_DIR:-$PWD/target}/sdk"

mkdir -p "$folder/node"
[[ -x $folder/venv/bin/python ]] || python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${python[@]}" &
pip=$!
npm install --prefix "$folder/node" --no-audit --no-fund --loglevel=error "${node[@]}"
wait "$pip"
"$folder/venv/bin/python" -c 'import openai; print("openai for Python", openai.__version__)'
"$folder/node/node_modules/.bin/node" --version

#!/usr/bin/env bash
# Builds llama.cpp's server into target/llama, for tests/live/llama.rs: a real model server, whose model the tests make up.
#
# Its source comes with a package of PyPI's, the tools to build it as well. Needs python3 with venv and a C++ compiler, once;
# takes eight minutes of processor time (half of that on two cores), and afterwards none, while the version stays. The tests run without it and say so.
set -Eeuo pipefail
cd "$(dirname "$0")/../.."

# A new version is a commit of its own.
readonly version=0.3.36 cmake=4.4.5 ninja=1.13.2
readonly folder="${CARGO_TARGET_DIR:-$PWD/target}/llama"
readonly source="$folder/llama_cpp_python-$version/vendor/llama.cpp"

if [[ -x $folder/llama-server && $(cat "$folder/version" 2>/dev/null) == "$version" ]]; then
    echo "llama.cpp's server of llama-cpp-python $version is built"
    exit
fi
rm -rf "$folder"
mkdir -p "$folder"
python3 -m venv "$folder/venv"
export PATH="$folder/venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
pip install --quiet "cmake==$cmake" "ninja==$ninja" scikit-build-core
pip download --quiet --no-deps --no-binary :all: --no-build-isolation --dest "$folder" "llama-cpp-python==$version"
tar -xf "$folder/llama_cpp_python-$version.tar.gz" -C "$folder" "llama_cpp_python-$version/vendor/llama.cpp"

# Without its web page, which the build would download. No more than -O1: it runs for seconds.
cmake -S "$source" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
    -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF >"$folder/log" 2>&1 || { tail -50 "$folder/log"; exit 1; }
cmake --build "$folder/build" --parallel "$(nproc)" --target llama-server >>"$folder/log" 2>&1 || { tail -50 "$folder/log"; exit 1; }
strip -o "$folder/llama-server" "$folder/build/bin/llama-server"
"$folder/llama-server" --version
echo "$version" >"$folder/version"
rm -rf "$folder/build" "$folder/venv" "$folder"/llama_cpp_python-*

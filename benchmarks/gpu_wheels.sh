#!/bin/sh
# Fetch what benchmarks/gpu.sh needs beside torch, torchvision and lightning: benchmarks/gpu_wheels.sh [PYTHON_VERSION]
# PYTHON_VERSION is that of the machine with the GPU: 3.12 unless told. Wheels for Linux on x86-64 go into wheels/.
set -eu

cd "$(dirname "$0")/.."
fetch() {
    "${PYTHON:-python3}" -m pip download --quiet --dest wheels --only-binary :all: --implementation cp \
        --python-version "$version" --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 "$@"
}

version=${1:-3.12}
fetch 'pydantic>=2.8' # with its core, which has to be of the same release
# of the others nothing but themselves: what they need beyond that comes with torch, which is too large to carry; and
# later releases of the hub's client need more
grep -v -e '^#' -e pydantic -e typing_inspection -e annotated-types benchmarks/gpu/wheels.txt |
    fetch --no-deps --requirement /dev/stdin 'huggingface_hub<1'
du -ch wheels/*.whl | tail -n 1

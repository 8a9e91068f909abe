#!/bin/sh
# Check and measure on a GPU: benchmarks/gpu.sh [SECTION ...] [--small] [--out FILE]
# Installs what is missing from wheels/, where benchmarks/gpu_wheels.sh has put it, since such a machine may have no
# network. PYTHON names the interpreter that has torch, torchvision and lightning.
set -eu

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if [ -d wheels ]; then
    # the package itself runs from this folder; of what it names, only what is missing is installed
    "$python" -m pip install --quiet --no-index --find-links wheels --no-deps --requirement benchmarks/gpu/wheels.txt
fi
exec "$python" -m benchmarks.gpu "$@"

"""What an accelerator computes, checked against the processor, and how fast; `benchmarks/gpu.sh` runs all of it."""

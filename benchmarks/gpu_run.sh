#!/usr/bin/env bash
# All there is to do on a machine with an NVIDIA GPU, in one command, in the environment that is
# there: nothing is installed or downloaded.
#     [PYTHON=python3] [OUT=gpu-run] [LIMIT=1] benchmarks/gpu_run.sh [STAGE...]
# Stages come in the order of their worth: does it run and is it right, then sanitizers, then speed.
# Each has a time limit, LIMIT times the seconds below, and a log in OUT, written as it ends; none
# stops the others. OUT/stages.txt says how each ended. Without names all run.
# Needs: isp_meta built with CUDA for this Python, and a CUDA build of torch; pytest for the tests,
# the toolkit's compute-sanitizer and ncu for theirs: what is missing is said and passed over.
cd "$(dirname "$0")/.." || exit 1

python=${PYTHON:-python3}
out=${OUT:-gpu-run}
limit=${LIMIT:-1}
wanted=" $* "
failed=0
export PATH="${CUDA_HOME:-/usr/local/cuda}/bin:$PATH"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$out"

# stage NAME SECONDS COMMAND...
stage() {
  local name=$1 seconds=$(($2 * limit)) program=$3 start=$SECONDS ended
  shift 2
  [[ $wanted == "  " || $wanted == *" $name "* ]] || return
  if command -v "$program" >/dev/null; then
    timeout --kill-after=5 "$seconds" "$@" >"$out/$name.log" 2>&1
    case $? in
      0) ended=passed ;;
      5) ended="NO TEST of CUDA in it" ;;  # as pytest says it
      124 | 137) ended="OUT OF TIME after $seconds s" failed=1 ;;
      *) ended="FAILED" failed=1 ;;
    esac
  else
    ended="NOT RUN, there is no $program"
  fi
  echo "$name: $ended, $((SECONDS - start)) s" | tee -a "$out/stages.txt"
}

stage machine 15 nvidia-smi
stage torch 30 "$python" -c '
import torch, isp_meta._ops as built
print(torch.__version__, torch.version.cuda, torch.cuda.is_available(), built.CUDA)
assert torch.cuda.is_available(), "torch sees no GPU"
assert built.CUDA, "isp_meta is built without CUDA"
print(torch.cuda.get_device_properties(0))'
stage every_op 40 "$python" benchmarks/small_shapes.py cuda
for test in tests/ops/test_*.py; do
  name=$(basename "$test" .py)
  # Those of the CPU alone run elsewhere.
  stage "$name" 40 "$python" -m pytest -q -p no:cacheprovider "$test" -k "cuda or Cuda"
done
export PYTORCH_NO_CUDA_MEMORY_CACHING=1  # each tensor an allocation, so that its end is seen
for tool in memcheck racecheck synccheck initcheck; do
  stage "$tool" 45 compute-sanitizer --tool "$tool" --error-exitcode 1 \
    "$python" benchmarks/small_shapes.py cuda
done
unset PYTORCH_NO_CUDA_MEMORY_CACHING
stage benchmark 100 "$python" benchmarks/ops.py --device cuda --record --json "$out/ops.json"
stage photograph 90 "$python" benchmarks/gpu_photograph.py --json "$out/photograph.json"
stage compiled 120 "$python" benchmarks/ops.py --device cuda --full --json "$out/ops-full.json"
stage profile 60 ncu --set basic --csv "$python" benchmarks/ops.py --device cuda --once
exit $failed

#!/usr/bin/env bash
# From shards to the table: stages of jobs, each of which begins when the one before has ended well. On a machine with
# sbatch, from the project's folder:
#
#   cp scripts/slurm/site.env.example site.env                                # and change it
#   scripts/slurm/pipeline.sh site.env scripts/slurm/pipeline_lines.txt runs/pipeline
#
#   pipeline.sh SITE FILE OUT
#     SITE  partition, account, interpreter and so on; see site.env.example
#     FILE  lines `NAME: COMMAND ARGUMENTS`, or a grid in YAML: a sweep's file
#     OUT   folder; `fit` and `test` write into OUT/NAME, other commands where their arguments say
#
# Lines that stand one after the other and run the same command are one stage: an array, a task a line. An `embed` line is a
# stage of its own: EMBED_TASKS tasks share its shards, and the one that ends last notes it as finished. Arguments name what
# earlier lines write, such as OUT/NAME/labels.json. Every line is parsed before anything is submitted; each job begins with
# `validate`.
#
# Submitted again it does what is missing: finished lines are left out (`sweep.json` in their folders), unless something
# before them is to be run; then their tasks look again, and end at once if nothing that they read has changed. A stage that
# fails cancels those after it. A job that is preempted, or short of its time limit, is requeued and goes on; the stages
# after it wait. While jobs of OUT wait or run, nothing is submitted.
#
# Prints a line for each stage, `JOB COMMAND LINES`. Exit status: 0 submitted, or nothing to do; 2 refused.
set -euo pipefail

fail() {
    echo "error: $*" >&2
    exit 2
}

(($# == 3)) || fail "usage: ${0##*/} SITE FILE OUT"
site=$1 file=$2 out=$3
scripts=$(dirname "$0")

[[ -f $site ]] || fail "there is no $site: copy $scripts/site.env.example and change it"
number=0
while IFS= read -r line || [[ -n $line ]]; do
    ((++number))
    [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
    # read by the shell here and by Python elsewhere: what only one of them would expand or run is refused
    [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?[A-Za-z_][A-Za-z_0-9]*=([^[:space:]\"\'\$\`\;\&\|\<\>\(\)\\#~]*|\'[^\']*\'|\"[^\"\$\`\\]*\")([[:space:]]+#.*|[[:space:]]*)$ ]] ||
        fail "$site, line $number is not NAME=VALUE, with quotes around blanks and nothing to expand: $line"
done <"$site"
set -a
# shellcheck disable=SC1090
source "$(realpath "$site")"
set +a

python=${PYTHON:-python}
command -v sbatch >/dev/null || fail "there is no sbatch here: submit from a machine of the cluster"
command -v "$python" >/dev/null || fail "there is no PYTHON=$python: $site names the interpreter"
mapfile -t options < <(xargs -r printf '%s\n' <<<"${SBATCH_OPTIONS:-}")

stages=$("$python" -m ood_lightning sweep stages "$file" --out "$out") || exit 2
if [[ -z $stages ]]; then
    echo "nothing to do: all lines of $file are finished in $out"
    exit 0
fi

kept=$out/.submitted # where `sweep --slurm` keeps the same
mkdir -p "$kept" logs # Slurm opens the logs, and makes no folder
if [[ -s $kept/job ]] && [[ -n $(squeue --noheader --jobs="$(<"$kept/job")" 2>/dev/null) ]]; then
    fail "jobs $(<"$kept/job") of $out wait or run: wait for them, or \`scancel\` them first"
fi
copy=$kept/$(sha256sum <"$file" | head -c 8).${file##*.} # tasks read it: the file may be edited meanwhile
cp "$file" "$copy.new" && mv "$copy.new" "$copy"

jobs=()
withdraw() { # a stage that Slurm refuses: those before it would only be half of the work
    ((${#jobs[@]})) && scancel "${jobs[@]}"
    fail "sbatch refuses $1; nothing is left submitted"
}
while read -r command numbers; do
    submit=(sbatch --parsable ${options[@]+"${options[@]}"} "--job-name=ood-$command")
    ((${#jobs[@]})) && submit+=("--dependency=afterok:${jobs[-1]}" --kill-on-invalid-dep=yes)
    if [[ $command == embed ]]; then
        mapfile -d '' -t parts < <("$python" -m ood_lightning sweep lines "$copy" --number "$numbers" --command embed)
        submit=(env "SWEEP_FILE=$copy" "SWEEP_OUT=$out" "SWEEP_LINE=$numbers" "${submit[@]}") # the last task notes the end
        submit+=("--array=0-$((${EMBED_TASKS:-8} - 1))" "$scripts/embed_array.sbatch" "${parts[@]:1}")
    else
        submit+=("--array=$numbers" "$scripts/sweep_array.sbatch" "$copy" "$out")
    fi
    job=$("${submit[@]}") || withdraw "$command $numbers"
    jobs+=("${job%%;*}")
    echo "${jobs[-1]} $command $numbers"
done <<<"$stages"

(IFS=,; echo "${jobs[*]}") >"$kept/job"
echo "logs/ood-COMMAND-JOB_TASK.out, results in $out" >&2

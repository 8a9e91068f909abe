#!/usr/bin/env bash
# Reads a file of argument lines.
#
#   scripts/slurm/lines.sh FILE        every line with its number, as it will be read
#   scripts/slurm/lines.sh FILE N      the name and the arguments of line N, a NUL after each
#
# A line is `NAME: ARGUMENTS`. Lines count from 0; empty ones and those that begin with # do not count. Spaces part
# arguments. Within '...' or "..." everything stands for itself, spaces, braces and the other quote too; outside of quotes a
# backslash does that to the next character. Nothing is ever expanded: no $, no *, no ~, no {a,b}.
set -euo pipefail

fail() {
    echo "error: $*" >&2
    exit 2
}

file=${1:?give a file of lines}
[[ -r $file ]] || fail "there is no file of lines $file"
mapfile -t lines < <(grep -vE '^[[:space:]]*(#|$)' "$file" | tr -d '\r')

read_line() { # number -> parts
    local name_and_rest='^[[:space:]]*([A-Za-z0-9][A-Za-z0-9._-]*):[[:space:]](.*)$'
    (($1 >= 0 && $1 < ${#lines[@]})) || fail "$file has ${#lines[@]} lines, 0 to $((${#lines[@]} - 1)): there is no line $1"
    [[ ${lines[$1]} =~ $name_and_rest ]] || fail "line $1 of $file is not 'NAME: ARGUMENTS': ${lines[$1]}"
    local name=${BASH_REMATCH[1]} rest=${BASH_REMATCH[2]} other
    for other in "${!lines[@]}"; do
        if ((other != $1)) && [[ ${lines[$other]} =~ ^[[:space:]]*"$name":[[:space:]] ]]; then
            fail "lines $1 and $other of $file have one name, $name: they would write into one folder"
        fi
    done
    mapfile -d '' -t parts < <(printf '%s\n' "$rest" | xargs printf '%s\0' 2>/dev/null)
    wait $! || fail "line $1 of $file has a quote without its partner: $rest"
    parts=("$name" "${parts[@]}")
}

if (($# > 1)); then
    read_line "$2"
    printf '%s\0' "${parts[@]}"
else
    for number in "${!lines[@]}"; do
        read_line "$number"
        printf '%s %s:' "$number" "${parts[0]}"
        printf ' %q' "${parts[@]:1}"
        printf '\n'
    done
fi

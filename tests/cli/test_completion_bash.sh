#!/bin/bash
# What bash completes. Sources the completion file of the build that $TABES belongs to and asks for a few lines.
set -u
TABES=${TABES:?the program to test}
cd "$(dirname "$0")/../.." || exit 1
folder=$(cd "$(dirname "$TABES")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0

# shellcheck disable=SC1090,SC1091
. "$folder/completions/tabes.bash" || exit 1
compopt() { :; } # works only while readline completes
mkdir "$tmp/folder" "$tmp/files"
touch "$tmp/b.jsonl" "$tmp/with space.jsonl" "$tmp/notes.txt" "$tmp/files/c.txt"
cd "$tmp" || exit 1

# expect 'A|B' WORDS...: what is suggested for the last word, in order
expect() {
    local want=$1 got
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _tabes
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd '|')
    checks=$((checks + 1))
    [ "$got" = "$want" ] || { failed=$((failed + 1)); echo "test_completion_bash: $*: '$got', expected '$want'" >&2; }
}

complete -p tabes | grep -q -- '-F _tabes' || { failed=1; echo "test_completion_bash: tabes is not completed" >&2; }
expect 'replay|run' tabes r
expect 'policies' tabes po
expect '--policy' tabes run --poli
expect '--prompt|--prompt-file|--prompt-tokens' tabes score --prom
expect '--version' tabes --vers
expect '--device' tabes --dev
expect 'export' tabes help ex
expect 'left-to-right|lookum' tabes run --policy l
expect 'boe,margin|boe,maskgit' tabes open --policy boe,m
expect 'boe|boe-horizon|boe-mid|boe-others|boe-rows|boe-verify' tabes policies bo
expect 'auto|cpu|cuda' tabes --device ''
expect 'bf16' tabes info --precision = b
expect 'auto|bf16|f32' tabes info --precision =
expect 'html' tabes export b.jsonl --to h
expect 'plain' tabes export b.jsonl --color p
expect 'always|auto' tabes replay b.jsonl --color a
expect 'dark' "$folder/tabes" replay --theme da
expect 'full|mask|mid|rows|soft' tabes run --lookahead ''
expect 'off|on' tabes run --gate o
expect 'story' tabes run -m st
expect 'countdown|files|folder|story|sudoku' tabes info ''
expect 'notes.txt' tabes run --prompt-file n
expect 'b.jsonl|files|folder|with space.jsonl' tabes replay ''
expect 'files/c.txt' tabes export files/
expect '' tabes run --seed ''
expect '' tabes run ''
expect '' tabes nothing --x

echo "bash completion: $checks checks, $failed failed"
[ "$failed" -eq 0 ]

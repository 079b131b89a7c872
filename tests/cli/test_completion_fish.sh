#!/bin/sh
# What fish completes, asked with `complete -C`. Needs fish; the completion file is that of the build of $TABES.
set -u
TABES=${TABES:?the program to test}
command -v fish >/dev/null 2>&1 || { echo "fish completion: skipped, fish is not installed"; exit 77; }
folder=$(cd "$(dirname "$TABES")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0
export HOME="$tmp" XDG_CONFIG_HOME="$tmp" XDG_DATA_HOME="$tmp" PATH="$folder:$PATH"
mkdir "$tmp/work"
touch "$tmp/work/b.jsonl"
cd "$tmp/work" || exit 1

expect() { # expect 'A|B' LINE: what is suggested at the end of LINE, sorted
    got=$(fish --no-config -c "source $folder/completions/tabes.fish; complete -C '$2'" 2>&1 | cut -f 1 | sort | paste -sd '|')
    checks=$((checks + 1))
    [ "$got" = "$1" ] || { failed=$((failed + 1)); echo "test_completion_fish: $2: '$got', expected '$1'" >&2; }
}

expect 'replay|run' 'tabes r'
expect '--policy' 'tabes run --poli'
expect '--device' 'tabes --dev'
expect '--version' 'tabes --vers'
expect 'boe,margin' 'tabes open --policy boe,mar'
expect 'auto|cpu|cuda' 'tabes info --device '
expect 'html' 'tabes export b.jsonl --to h'
expect 'story|sudoku' 'tabes run -m s'
expect 'b.jsonl' 'tabes replay '
expect 'left-to-right' 'tabes policies le'
expect 'monochrome' 'tabes themes mono'
expect '' 'tabes run --seed '

echo "fish completion: $checks checks, $failed failed"
[ "$failed" -eq 0 ]

#!/bin/sh
# test_themes.sh - `tabes themes` outside a terminal: one line a theme, files checked, broken ones named.
set -u
: "${TABES:=build/tabes}"
n=0 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
check() { # check NAME COMMAND...: the command must succeed
    name=$1; shift
    n=$((n + 1))
    "$@" || { failed=$((failed + 1)); echo "test_themes.sh: $name" >&2; }
}
code() { # code WANT COMMAND...: its exit code; output in $dir/out and $dir/err
    want=$1; shift
    "$@" > "$dir/out" 2> "$dir/err"
    [ $? -eq "$want" ]
}

export XDG_CONFIG_HOME="$dir"
check "list" code 0 "$TABES" themes
check "one line each" [ "$(wc -l < "$dir/out")" -eq 6 ]
check "name, description, file" grep -q "^light	.*	.*/themes/light.theme$" "$dir/out"
check "no escapes" sh -c "! grep -q '\\[' '$dir/out'"
check "quiet" [ ! -s "$dir/err" ]
check "named" code 0 "$TABES" themes dark projector
check "named, two lines" [ "$(wc -l < "$dir/out")" -eq 2 ]
check "unknown" code 2 "$TABES" themes mauve
check "unknown, message" grep -q "theme 'mauve' is unknown; there are: dark, colour-blind" "$dir/err"

mkdir -p "$dir/tabes/themes"
printf 'about = mine\n' > "$dir/tabes/themes/own.theme"
printf 'about = x\n\nkey = 1 2 blink\n' > "$dir/tabes/themes/broken.theme"
check "own folder" code 0 "$TABES" themes
check "own theme" grep -q "^own	mine	" "$dir/out"
check "broken, note" grep -q "broken.theme:3:11: 'blink' is no attribute" "$dir/err"
check "one message" [ "$(wc -l < "$dir/err")" -eq 1 ]
check "broken file" code 2 "$TABES" themes "$dir/tabes/themes/broken.theme"
check "good file" code 0 "$TABES" themes "$dir/tabes/themes/own.theme"
check "no file" code 2 "$TABES" themes "$dir/none.theme"
check "folder" code 2 "$TABES" themes "$dir/tabes"
check "colour on demand" code 0 "$TABES" themes --color always light
check "units" grep -q "ln V nats" "$dir/out"
check "bad option" code 2 "$TABES" themes --color mauve
check "workbench with a broken theme" code 0 "$TABES" replay examples/trajectories/sudoku-boe.jsonl --theme broken \
    --dump-screen 100x30
check "its message" grep -q "broken.theme:3:11: 'blink' is no" "$dir/out"
check "without any folder" env -u XDG_CONFIG_HOME HOME=/nonexistent "$TABES" themes dark > "$dir/out"

echo "themes command: $n checks, $failed failed"
[ "$failed" -eq 0 ]

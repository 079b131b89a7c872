#!/bin/sh
# The workbench unattended: --exec, --script and --config with --dump-screen, and without a terminal. Needs $TABES;
# runs from the source directory.
set -u
TABES=${TABES:?the program to test}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0
A=examples/trajectories/sudoku-greedy.jsonl

bad() { failed=$((failed + 1)); echo "test_script.sh: $*" >&2; }
# expect CODE COMMAND...: stdout in $tmp/out, stderr in $tmp/err
expect() {
    want=$1; shift
    checks=$((checks + 1))
    "$@" </dev/null >"$tmp/out" 2>"$tmp/err"; got=$?
    [ "$got" -eq "$want" ] || bad "exit $got, expected $want: $* ($(head -c 300 "$tmp/err"))"
}
says() { # says out|err PATTERN
    checks=$((checks + 1))
    grep -q -- "$2" "$tmp/$1" || bad "std$1 lacks '$2': $(head -c 300 "$tmp/$1")"
}

expect 0 "$TABES" replay $A --exec 'entropy; goto 3; note "two; words"' --dump-screen 120x40
says out 'step 3/6'
says out 'noted at step 3'
says out 'nats = ln'
expect 0 "$TABES" replay $A --exec 'goto 3; note x; quit; nosuch' --dump-screen 80x24

# An error names its place, in a sourced file too, and nothing is shown.
printf '# demo\ngoto 2\nsource %s/b.tabes\n' "$tmp" >"$tmp/a.tabes"
printf '\nnosuch\n' >"$tmp/b.tabes"
expect 2 "$TABES" replay $A --script "$tmp/a.tabes" --dump-screen 80x24
says err "b.tabes:2: no command 'nosuch'"
[ ! -s "$tmp/out" ] || bad "a screen after an error"
expect 2 "$TABES" replay $A --script "$tmp/a.tabes"
says err 'b.tabes:2: '
expect 2 "$TABES" replay $A --script "$tmp/none"
says err 'none'
expect 2 "$TABES" replay $A --exec 'goto 2; policy boe'
says err 'exec:2: policy: a recording is not changed'
expect 2 "$TABES" replay $A --exec 'write /nonexistent/x'
head -c 300 /dev/urandom | tr -d '\n' >"$tmp/noise"
expect 2 "$TABES" replay $A --script "$tmp/noise"

# A config file goes on after a bad line; a person's own is not read by a dump.
printf 'nosuch\ngoto 4\n' >"$tmp/config"
expect 0 "$TABES" replay $A --config "$tmp/config" --dump-screen 80x24
says out 'step 4/6'
mkdir -p "$tmp/tabes" && cp "$tmp/config" "$tmp/tabes/config"
expect 0 env XDG_CONFIG_HOME="$tmp" "$TABES" replay $A --dump-screen 80x24
says out 'step 0/6'

# Without a terminal the files are the result; notes are in them.
expect 0 "$TABES" open -m sudoku --exec "goto 4; note looked at; write $tmp/run.jsonl; export md $tmp/run.md"
checks=$((checks + 1))
grep -q 'looked at' "$tmp/run.jsonl" || bad "no note in the recording"
grep -q 'step 4: note: looked at' "$tmp/run.md" || bad "no note in the summary"
expect 0 "$TABES" replay "$tmp/run.jsonl" --at 4 --dump-screen 80x24
says out 'step 4: looked at'

echo "script: $checks checks, $failed failed"
[ "$failed" -eq 0 ]

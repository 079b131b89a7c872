#!/bin/sh
# The public commands round recordings: run --record, verify, export. Needs $TABES; runs from the source directory.
set -u
TABES=${TABES:?the program to test}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0
MODEL=tests/vectors/llada
mask=$(sed -n 's/.*"mask_token_id": *\([0-9]*\).*/\1/p' $MODEL/config.json)

bad() { failed=$((failed + 1)); echo "test_replay.sh: $*" >&2; }
# expect CODE COMMAND...: stdout in $tmp/out, stderr in $tmp/err
expect() {
    want=$1; shift
    checks=$((checks + 1))
    "$@" >"$tmp/out" 2>"$tmp/err"; got=$?
    [ "$got" -eq "$want" ] || bad "exit $got, expected $want: $* ($(head -c 300 "$tmp/err"))"
}
says() { # says out|err PATTERN
    checks=$((checks + 1))
    grep -q -- "$2" "$tmp/$1" || bad "std$1 lacks '$2': $(head -c 300 "$tmp/$1")"
}
silent() { # silent out|err
    checks=$((checks + 1))
    [ ! -s "$tmp/$1" ] || bad "std$1 is not empty: $(head -c 300 "$tmp/$1")"
}

run() { "$TABES" run -q -m $MODEL --prompt-tokens "[3,4,$mask,6,7]" --length 8 --seed 3 "$@"; }

# A recording verifies, on other thread counts too, and to the last digit on its own.
for policy in confidence boe; do
    rec=$tmp/$policy.jsonl
    expect 0 run --policy $policy --temperature 0.5 --threads 2 --record "$rec" --tokens-out
    cp "$tmp/out" "$tmp/tokens"
    expect 0 "$TABES" verify "$rec" -m $MODEL
    says out '^same: 9 steps, largest relative difference'
    silent err
    expect 0 "$TABES" verify "$rec" -m $MODEL --threads 1
    expect 0 "$TABES" verify "$rec" -m $MODEL --exact
    says out 'every digit equal'
    expect 0 "$TABES" verify "$rec" -m $MODEL --json
    says out '"same":true'
done

# A token changed by hand is found and named.
python3 - "$rec" "$tmp/changed.jsonl" <<'EOF'
import json, sys
lines = open(sys.argv[1]).read().splitlines()
step = json.loads(lines[3])
write = step["writes"][0]
write["token"] = 1 if write["token"] != 1 else 2
lines[3] = json.dumps(step)
open(sys.argv[2], "w").write("\n".join(lines[:4]) + "\n")
EOF
expect 1 "$TABES" verify "$tmp/changed.jsonl" -m $MODEL
says out '^differs: step 2, position [0-9]*: wrote .*, recorded '
says out '^a choice changed in step 2, largest relative difference'
says err 'truncated: no closing line; 3 steps are kept'
expect 1 "$TABES" verify "$tmp/changed.jsonl" -m $MODEL --json
says out '"same":false'
says out '"choice_changed":true'

# Another model: a note or a refusal.
sed 's/"fingerprint":"[0-9a-f]*"/"fingerprint":"00"/' "$rec" >"$tmp/other.jsonl"
expect 0 "$TABES" verify "$tmp/other.jsonl" -m $MODEL
says err 'fingerprint differs'
expect 2 "$TABES" verify "$rec" -m tests/vectors/dream
says err 'another model'

# Cuts are said; what is wrong is placed.
head -c $(($(wc -c <"$rec") - 20)) "$rec" >"$tmp/cut.jsonl"
expect 0 "$TABES" verify "$tmp/cut.jsonl" -m $MODEL
says err 'truncated: line 11 is cut; 9 steps are kept'
expect 0 "$TABES" export "$tmp/cut.jsonl" --to csv
says err truncated
head -c 100 "$rec" >"$tmp/cut.jsonl"
expect 2 "$TABES" export "$tmp/cut.jsonl" --to csv
says err 'cut.jsonl:1:101: truncated inside the header'
silent out
sed '5s/"pos":[0-9]*/"pos":91/' "$rec" >"$tmp/bad.jsonl"
expect 2 "$TABES" verify "$tmp/bad.jsonl" -m $MODEL
says err 'bad.jsonl:5:[0-9]*: writes: position 91 is past the end (13)'
expect 2 "$TABES" verify "$tmp/none.jsonl" -m $MODEL
says err none.jsonl

# Export.
expect 0 "$TABES" export "$rec" --to json
cp "$tmp/out" "$tmp/doc.json"
expect 0 "$TABES" export "$rec" --to csv -o "$tmp/table.csv"
silent out
expect 0 python3 - "$rec" "$tmp/doc.json" "$tmp/table.csv" "$tmp/tokens" <<'EOF'
import csv, json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
doc, rows = json.load(open(sys.argv[2])), list(csv.DictReader(open(sys.argv[3], newline="")))
assert doc["header"] == lines[0] and doc["steps"] == lines[1:-1] and doc["closing"] == lines[-1]
assert lines[-1]["result"] == json.load(open(sys.argv[4])) and lines[-1]["complete"]
assert len(rows) == sum(len(s["masked"]) for s in doc["steps"])
for r in rows:
    step = doc["steps"][int(r["step"])]
    i = step["masked"].index(int(r["pos"]))
    assert float(r["entropy"]) == step["entropy"][i] and int(r["argmax"]) == step["argmax"][i]
    if r["candidate"] == "1":
        assert float(r["tis"]) == step["tis"][step["candidates"].index(int(r["pos"]))]
    if r["written"] == "1":
        assert step["writes"][int(r["rank"])]["token"] == int(r["token"])
EOF
checks=$((checks + 1))
"$TABES" export - --to json <"$rec" >"$tmp/stdin.json" && cmp -s "$tmp/stdin.json" "$tmp/doc.json" || bad "standard input gives another document"
expect 2 "$TABES" export "$rec" --to xml
says err 'expected json, csv, html, svg, md or cast'
expect 2 "$TABES" export "$rec"
expect 2 "$TABES" export --to json
expect 2 "$TABES" verify
expect 2 "$TABES" verify "$rec" -m $MODEL --tolerance nan
expect 1 "$TABES" export "$rec" --to json -o /dev/full
says err '/dev/full: No space left'
checks=$((checks + 1))
run --policy boe --record /dev/full >"$tmp/out" 2>"$tmp/err" && bad "a full disk is no failure"
says err '/dev/full: No space left'
for c in verify export; do
    expect 0 "$TABES" $c --help
    says out "usage: tabes $c FILE"
done

# A token changed in the file: verify names the step; a reader that cannot re-run refuses the contradiction.
sed '3s/"token":[0-9]*/"token":1/' examples/trajectories/sudoku-greedy.jsonl >"$tmp/token.jsonl"
expect 1 "$TABES" verify "$tmp/token.jsonl" -m examples/models/sudoku
says out '^differs: step 1, position'
expect 2 "$TABES" export "$tmp/token.jsonl" --to csv
silent out
# So with positions, the start, masked lists and the closing line; other readers refuse all of them.
python3 - examples/trajectories/sudoku-greedy.jsonl "$tmp" <<'EOF'
import json, sys
def alter(name, change):
    lines = [json.loads(l) for l in open(sys.argv[1])]
    change(lines)
    open(f"{sys.argv[2]}/{name}.jsonl", "w").write("".join(json.dumps(l) + "\n" for l in lines))
def position(lines):
    writes = lines[2]["writes"]
    writes[0]["pos"] = next(p for p in lines[2]["masked"] if p not in [w["pos"] for w in writes])
def start(lines):
    lines[0]["start"][lines[0]["start"].index(lines[0]["model"]["mask_id"])] = 1
alter("position", position)
alter("start", start)
def masked(lines):
    old = lines[3]["masked"]
    free = [p for p in range(len(lines[0]["start"])) if p not in old]
    lines[3]["masked"] = sorted(old[1:] + free[:1])
alter("masked", masked)
alter("complete", lambda lines: lines[-1].update(complete=False))
alter("written", lambda lines: lines[-1].update(written=1))
alter("ms", lambda lines: lines[-1].update(ms=1))
EOF
for change in position:'step 1, ' start:'step 0, ' masked:'step 2, ' \
    complete:'the steps agree, but line 8, column [0-9]*: complete is false' written:'the steps agree, but line 8, column' \
    ms:'the steps agree, but line 8, column'; do
    expect 1 "$TABES" verify "$tmp/${change%%:*}.jsonl" -m examples/models/sudoku
    says out "^differs: ${change#*:}"
    expect 2 "$TABES" export "$tmp/${change%%:*}.jsonl" --to csv
done
# A policy that refuses the settings carried over from another leaves the pane usable.
expect 0 timeout 60 "$TABES" open -m sudoku --policy boe-others --active masked --dump-screen 120x40 --keys as
says out 'A boe-mid'

# What can be read only once is read once, from its beginning.
piped() { cat examples/trajectories/sudoku-greedy.jsonl | "$@"; }
expect 0 piped timeout 60 "$TABES" replay /dev/stdin --dump-screen 120x40
says out 'step 0/'
mkfifo "$tmp/pipe"
timeout 60 cat examples/trajectories/sudoku-greedy.jsonl >"$tmp/pipe" &
expect 0 timeout 60 "$TABES" replay "$tmp/pipe" --dump-screen 120x40
says out 'step 0/'

# Closer looks ask a model, which must be the recordings' own.
G=examples/trajectories/sudoku-greedy.jsonl B=examples/trajectories/sudoku-boe.jsonl
expect 0 "$TABES" replay $G $B -m sudoku --exec 'goto 2; truth' --dump-screen 120x40 --no-config
says out 'relaxed . [+-]0.*discrete . [+-]0'
expect 0 "$TABES" replay $G $B -m examples/models/sudoku --exec 'focus B; goto 2; next-masked; influence' --dump-screen 200x60 --no-config
says out '[0-9] is settled by'
expect 2 "$TABES" replay $G $B -m story --dump-screen 120x40 --no-config
says err "sudoku-greedy.jsonl: recorded with another model: \"sudoku\", fingerprint [0-9a-f]*; --model is \"story\""
expect 2 "$TABES" replay $G --threads 2 --dump-screen 120x40
says err 'name it with -m'
expect 2 "$TABES" replay $G --exec 'truth' --dump-screen 120x40 --no-config
says err 'a recording has none: tabes replay FILE -m MODEL'

echo "replay commands: $checks checks, $failed failed"
[ "$failed" -eq 0 ]

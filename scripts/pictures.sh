#!/bin/sh
# pictures.sh - the pictures of docs/views.md, from the program in build/ in a tmux of its own. Needs tmux.
# Add one: a line with the file's name, commands, and the program's arguments.
set -eu
cd "$(dirname "$0")/.."
out=docs/views
mkdir -p "$out"
tm() { tmux -L tabes-pictures -f /dev/null "$@"; }

shoot() { # shoot NAME COMMANDS ARGUMENTS...
    name=$1; commands=$2; shift 2
    tm kill-server 2> /dev/null || true
    tm new-session -d -x 120 -y 40 \
        "COLORTERM=truecolor TERM=tmux-256color build/tabes $* --no-config --exec '$commands'"
    sleep "${SECONDS_EACH:-5}"
    tm capture-pane -p -e | scripts/screen-to-svg.py > "$out/$name.svg"
    tm kill-server
    echo "$out/$name.svg"
}

two="open -m sudoku --prompt-file examples/prompts/sudoku.txt --policies confidence,boe"
one="open -m sudoku --prompt-file examples/prompts/sudoku.txt --policies boe"
shoot state "goto 12; position 54" $two
shoot entropy "goto 12; color entropy; position 77" $two
shoot tis "goto 12; color tis" $two
shoot order "goto end; color order" $two
shoot confidence "goto end; color confidence; position 54" $two
shoot orders "goto end; orders" $two
shoot influence "goto 12; position 54; influence" $one
shoot truth "goto 12; truth" $one
SECONDS_EACH=25 shoot truth-run "goto end; truth-run" $one
shoot anatomy "goto 12; position 54; anatomy" $one
shoot attention "goto 12; position 54; attention; attention-layer 3" $one
shoot lock-in "goto end; lockin" $one --steps 6
shoot four-panes "goto 12" open -m sudoku --prompt-file examples/prompts/sudoku.txt --policies confidence,boe,boe-rows,oracle
shoot story "goto 12; color entropy" open -m story --prompt-file examples/prompts/story.txt --length 40
shoot form "goto 12; form" $one
shoot pick "goto 12; position 54; pick" $one
shoot branches "goto 6; position 23; remask; branch b1; goto 3; position 23; remask; branches" $one
shoot help "help" $one
shoot lesson "lesson-next; lesson-next" lesson masking

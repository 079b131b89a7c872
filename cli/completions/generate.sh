#!/bin/sh
# generate.sh PROGRAM MODELS OUT: completion files for bash, zsh and fish in the folder OUT, made from the program's own
# help texts, so that they cannot miss an option. MODELS is the folder of the bundled models.
set -eu
tabes=$1 models=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
help=$out/help.txt

{
    "$tabes" --help
    for command in $("$tabes" --help | awk '/^  [a-z]/ { print $1 }'); do
        echo "@command $command"
        "$tabes" "$command" --help
    done
    echo "@policies"
    "$tabes" policies
    echo "@models"
    for model in "$models"/*/; do basename "$model"; done
} >"$help"

for shell in bash zsh fish; do
    case $shell in
    bash) file=tabes.bash ;;
    zsh) file=_tabes ;;
    fish) file=tabes.fish ;;
    esac
    awk -f "$here/help.awk" -f "$here/$shell.awk" -v prelude="$here/prelude.$shell" "$help" >"$out/$file.part"
    mv "$out/$file.part" "$out/$file"
done

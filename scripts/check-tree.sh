#!/bin/sh
# Rules of the tree that no compiler checks: which room may include which, sizes, leftovers.
set -eu
cd "$(dirname "$0")/.."
bad=0
complain() { echo "check-tree: $*" >&2; bad=1; }

forbid() { # forbid ROOM PATTERN: includes that a room must not have
    hits=$(git grep -nE "^#include \"($2)/" -- "$1" || true)
    [ -z "$hits" ] || complain "$1 looks upward: $hits"
}
forbid kernels 'engine|bench|replay|eval|tui|cli'
forbid engine 'bench|replay|eval|tui|cli'
forbid bench 'replay|eval|tui|cli'
forbid engine/base 'kernels|engine/[a-z_]+\.h'
forbid replay 'bench|eval|tui|cli'
forbid eval 'bench|tui|cli'
forbid tui 'bench|eval|cli'

hits=$(git grep -nE '#include <(ncurses|curses)' -- kernels engine bench replay eval cli || true)
[ -z "$hits" ] || complain "curses outside tui: $hits"

# No other program is started, by no name; the one exec is that of the program itself (banned.h knows system, popen).
starts='system|popen|wordexp|exec(l|lp|le|v|ve|vp|vpe)|fexecve|v?fork|posix_spawnp?|clone3?'
hits=$(git grep -nE "(^|[^A-Za-z0-9_>.])($starts) ?\(" -- 'kernels/*.[ch]*' 'engine/*.[ch]' 'bench/*.[ch]' 'replay/*.[ch]' 'eval/*.[ch]' \
    'tui/*.[ch]' 'cli/*.[ch]' | grep -vE '^cli/main\.c:[0-9]+: *execv\(self, argv\);|:[0-9]+: ?\*|:[0-9]+:.*\(\*fork\)' || true)
[ -z "$hits" ] || complain "another program is started: $hits"

git ls-files -z | xargs -0 stat -c '%s %n' 2>/dev/null | awk '
    { total += $1; if ($1 > 12 * 1048576) { print "check-tree: too large: " $2; bad = 1 } }
    END { if (total > 48 * 1048576) { print "check-tree: the tree is over 48 MiB"; bad = 1 }; exit bad }' >&2 || bad=1
exit $bad

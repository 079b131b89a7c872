#!/bin/sh
# keep-log.sh COMPILER ARGS... -o OBJECT: compile, keep what the compiler says in OBJECT.log, and show all of it
# but ptxas's reports on kernels, which scripts/check-cuda.sh reads there.
object='' previous=''
for argument; do
    [ "$previous" = -o ] && object=$argument
    previous=$argument
done
[ -n "$object" ] || exec "$@"
"$@" >"$object.log" 2>&1
status=$?
grep -vE '^ptxas info|^ +[0-9]+ bytes stack frame|^$' "$object.log" >&2
exit $status

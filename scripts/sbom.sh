#!/bin/sh
# sbom.sh [PROGRAM] - a CycloneDX 1.5 list of what the built program and its modules link, with the versions and the
# licences of this system's packages, on standard output. Needs dpkg; docs/dependencies.md is the list for readers.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$ROOT/build/tabes}
[ -x "$program" ] || { echo "sbom: $program is not there; run ./run --version once" >&2; exit 1; }
command -v dpkg-query >/dev/null 2>&1 || { echo "sbom: needs dpkg" >&2; exit 77; }
python3 - "$program" "$(sed -n 's/^project(tabes VERSION \([0-9.]*\).*/\1/p' "$ROOT/CMakeLists.txt")" <<'PY'
import json, os, re, subprocess, sys
program, version = sys.argv[1:]
LICENCES = {"libdnnl": "Apache-2.0", "libcjson": "MIT", "libpcre2": "BSD-3-Clause", "libutf8proc": "MIT", "libncurses": "X11",
            "libtinfo": "X11", "libreadline": "GPL-3.0-or-later", "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1", "libopenmpi": "BSD-3-Clause",
            "libc6": "LGPL-2.1-or-later",
            "libgcc": "GPL-3.0-or-later WITH GCC-exception-3.1", "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1"}


def out(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", out("readelf", "-d", path))


def package_of(library):
    """The package of a library that the loader finds; None for one that no package brought, such as CUDA's."""
    path = next(iter(re.findall(rf"^\s*{re.escape(library)} .*=> (\S+)", out("/sbin/ldconfig", "-p"), re.M)), None)
    for at in (path, path and os.path.realpath(path), path and re.sub("^/usr", "", path)):
        found = at and out("dpkg-query", "-S", at).split(": ")[0].split(",")[0]
        if found:
            return found
    return None


parts, here = {}, os.path.dirname(program)
for user in [program, *(os.path.join(here, m) for m in ("libtabes_mpi.so", "libtabes_cuda.so") if os.path.exists(os.path.join(here, m)))]:
    for library in needed(user):
        package = package_of(library)
        name = package or library
        part = parts.setdefault(name, {"type": "library", "name": name.split(":")[0], "properties": []})
        if package:
            part["version"] = out("dpkg-query", "-W", "-f", "${Version}", package)
            part["purl"] = f"pkg:deb/debian/{part['name']}@{part['version']}"
            licence = next((v for k, v in LICENCES.items() if part["name"].startswith(k)), None)
            part["licenses"] = [{"expression": licence}] if licence else []
        part["properties"].append({"name": "tabes:linked-into", "value": f"{os.path.basename(user)}: {library}"})
json.dump({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
           "metadata": {"component": {"type": "application", "name": "tabes", "version": version,
                                      "licenses": [{"expression": "GPL-3.0-or-later" if any("readline" in p for p in parts) else "MIT"}]}},
           "components": [parts[k] for k in sorted(parts)]}, sys.stdout, indent=2)
print()
PY

#!/usr/bin/env bash
# Installs what is missing of the Debian packages for building, or for the tests:
#     scripts/debian_packages.sh build|test
# Without root and sudo, or on another system, it names them and fails.
set -euo pipefail

python=${PYTHON:-python3}
missing=()
require() { # PACKAGE CHECK...
  local package=$1
  shift
  "$@" &>/dev/null || missing+=("$package")
}

case ${1:-} in
  build)
    require python3-venv "$python" -c 'import ensurepip'
    require python3-dev "$python" -c \
      'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
    require g++ g++ --version
    ;;
  test)
    programs=$("$python" "$(dirname "$0")/programs.py")
    mapfile -t missing < <(printf '%s' "$programs")
    ;;
  *)
    echo "usage: $0 build|test" >&2
    exit 2
    ;;
esac
((${#missing[@]})) || exit 0

as_root=(env DEBIAN_FRONTEND=noninteractive)
((EUID == 0)) || as_root=(sudo -n "${as_root[@]}")
if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "missing for $1; please run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi

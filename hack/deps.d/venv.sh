# shellcheck shell=bash
# .venv: ansible, its linters, and moto, pinned in hack/requirements.txt.

deps_venv() {
  local python stamp
  python=$(find_python) || fail "Python 3.11 or later is missing" "sudo apt-get install -y python3 python3-venv"
  stamp=$(hash_of "$("$python" --version)" "$(cat hack/requirements.txt)")
  if [ "$(cat .venv/.made-of 2>/dev/null)" = "$stamp" ]; then
    molecule_finds_ansible
    say ".venv matches hack/requirements.txt"
    return
  fi
  say "making .venv with $("$python" --version) (about a minute)"
  rm -rf .venv
  "$python" -c 'import ensurepip' 2>/dev/null || apt_install "a virtual environment" python3-venv
  "$python" -m venv .venv
  # Do not compile ansible's thousands of files: Python compiles the few that it loads.
  hack/tools/visibly "pip install" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r hack/requirements.txt
  molecule_finds_ansible
  echo "$stamp" >.venv/.made-of
  say ".venv is ready"
}

# molecule finds ansible's commands only in PATH. This wrapper sets PATH, so .venv/bin/molecule works without an activated .venv.
molecule_finds_ansible() {
  rm -f .venv/bin/molecule
  cat >.venv/bin/molecule <<'SCRIPT'
#!/bin/sh
bin=$(cd "$(dirname "$0")" && pwd)
PATH=$bin:$PATH exec "$bin/python" -m molecule "$@"
SCRIPT
  chmod +x .venv/bin/molecule
}

# The distribution's Python comes first. One that pyenv compiled takes 10 % more CPU, because it is not optimized.
find_python() {
  local name
  for name in ${PYTHON:-} /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  return 1
}

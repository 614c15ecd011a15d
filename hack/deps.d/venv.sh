# shellcheck shell=bash
# .venv: ansible, its linters, and moto, pinned in hack/requirements.txt. All clones on the machine share one installation.

deps_venv() {
  local python stamp made
  python=$(find_python) || fail "Python 3.11 or later is missing" "sudo apt-get install -y python3 python3-venv"
  stamp=$(hash_of "$("$python" --version)" "$(cat hack/requirements.txt)")
  if [ "$(cat .venv/.made-of 2>/dev/null)" = "$stamp" ]; then
    molecule_finds_ansible
    say ".venv matches hack/requirements.txt"
    return
  fi
  made=$cache/venv-$stamp
  [ -d "$made" ] || make_venv "$python" "$made"
  copy_venv "$made"
  molecule_finds_ansible
  echo "$stamp" >.venv/.made-of
  say ".venv is ready"
}

# make_venv PYTHON DIRECTORY
make_venv() {
  local part
  say "making a virtual environment with $("$1" --version) (about a minute, once per machine)"
  "$1" -c 'import ensurepip' 2>/dev/null || apt_install "a virtual environment" python3-venv
  mkdir -p "$cache"
  part=$(mktemp -d "$2.XXXXXX")
  "$1" -m venv "$part"
  # Do not compile ansible's thousands of files: Python compiles the few that it loads.
  hack/tools/visibly "pip install" "$part/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -r hack/requirements.txt
  chmod 755 "$part"
  if [ -d "$2" ]; then rm -rf "$part"; else mv "$part" "$2"; fi # another clone may have been quicker
}

# copy_venv DIRECTORY: makes .venv with hard links to the files. The scripts in bin/ have the path of their Python, so they are rewritten.
copy_venv() {
  local script
  rm -rf .venv
  cp -al "$1" .venv 2>/dev/null || { rm -rf .venv && cp -a "$1" .venv; }
  grep -lIF "$cache/venv-" .venv/bin/* | while IFS= read -r script; do
    cp -p "$script" "$script.new"
    sed "s|$cache/venv-[^/\"' ]*|$root/.venv|g" "$script" >"$script.new"
    mv "$script.new" "$script"
  done
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

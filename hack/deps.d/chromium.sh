# shellcheck shell=bash
# The browser for the tests of the report and status pages.

deps_chromium() {
  if have chromium || have google-chrome; then
    say "Chromium is installed"
    return
  fi
  apt_install "Chromium for the pages of reports and status" chromium fonts-dejavu-core
}

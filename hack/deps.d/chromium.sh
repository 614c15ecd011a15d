# shellcheck shell=bash
# The browser in which the pages of reports and status are looked at.

deps_chromium() {
  if have chromium || have google-chrome; then
    say "Chromium is here"
    return
  fi
  apt_install "Chromium for the pages of reports and status" chromium fonts-dejavu-core
}

#!/bin/sh
# Make sure that a Chromium is there for the tests: the system's, Playwright's own, or Debian's.
# Usage: find_chromium.sh PYTHON
set -u

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then
        echo "Browser: $(command -v "$name")"
        exit 0
    fi
done

echo "No system Chromium; fetching Playwright's."
if "$1" -m playwright install chromium; then
    exit 0
fi

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
    echo "Playwright's download failed; installing the system's package."
    apt-get update -qq && apt-get install -y -qq chromium && exit 0
fi

echo "No browser could be installed. Install Chromium or Chrome and run this again." >&2
exit 1

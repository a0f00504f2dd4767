# Sourced: finds a cargo that is new enough (1.87) and puts it first on PATH.
TARE_MIN_CARGO=87
tare_cargo_minor() { "$1" --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p'; }
for candidate in cargo "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
  minor=$(tare_cargo_minor "$candidate")
  if [ -n "$minor" ] && [ "$minor" -ge "$TARE_MIN_CARGO" ]; then
    CARGO=$(command -v "$candidate"); export CARGO
    PATH="$(dirname "$CARGO"):$PATH"; export PATH
    break
  fi
done

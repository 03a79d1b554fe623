#!/usr/bin/env bash
# Makes sure that the tools of a build (`setup.sh build`) or of the tests (`setup.sh test`) are there: installs what is
# missing with the system's package manager when run as root or with sudo, else names the missing packages and exits 1.
set -euo pipefail

purpose=${1:-build}
root=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$HOME/.cargo/bin:$PATH"

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

package_manager() {
  for name in apt-get dnf apk pacman zypper; do
    if has "$name"; then echo "$name"; return; fi
  done
  echo none
}

# The package that brings a tool: apt-get, dnf, apk, pacman, zypper.
package_of() {
  case "$1:$manager" in
    cc:apk) echo build-base ;;
    cc:pacman) echo base-devel ;;
    cc:*) echo gcc ;;
    c++:apt-get) echo g++ ;;
    c++:apk) echo build-base ;;
    c++:pacman) echo base-devel ;;
    c++:*) echo gcc-c++ ;;
    make:*) echo make ;;
    perl:*) echo perl ;;
    git:*) echo git ;;
    curl:*) echo curl ;;
    certificates:*) echo ca-certificates ;;
    headers:apt-get) echo libc6-dev ;;
    headers:dnf) echo glibc-devel ;;
    headers:zypper) echo glibc-devel ;;
    headers:apk) echo build-base linux-headers ;;
    headers:pacman) echo glibc ;;
    java:apt-get) echo "${java_apt:-openjdk-17-jdk-headless}" ;;
    java:dnf) echo java-21-openjdk-headless ;;
    java:apk) echo openjdk17-jdk ;;
    java:pacman) echo jdk17-openjdk ;;
    java:zypper) echo java-17-openjdk-headless ;;
    maven:*) echo maven ;;
    *) echo "$1" ;;
  esac
}

compiles_c() { printf '#include <stdlib.h>\nint main(void){return 0;}\n' | cc -fsyntax-only -x c - 2>/dev/null; }
# openssl is built from source by perl, with modules that a minimal perl leaves out.
has_perl_modules() { perl -MFindBin -MIPC::Cmd -MFile::Compare -MFile::Copy -MTime::Piece -e1 2>/dev/null; }
pinned_rust() { sed -n 's/^channel *= *"\(.*\)"/\1/p' "$root/rust-toolchain.toml"; }
# With rustup the pinned version is a matter of a download; without, cargo itself must be new enough.
has_rust() {
  has cargo || return 1
  if has rustup; then return 0; fi
  local own
  own=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
  [ "$(printf '%s\n' "$(pinned_rust)" "$own" | sort -V | head -n 1)" = "$(pinned_rust)" ]
}
has_java() {
  has java || return 1
  local major
  major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${major:-0}" -ge 17 ]
}

missing_tools() {
  has cc || echo cc
  if has cc && ! compiles_c; then echo headers; fi
  has c++ || has g++ || has gcc || echo c++
  has make || echo make
  has_perl_modules || echo perl
  if ! has_rust && ! has rustup; then has curl || { echo curl; echo certificates; }; fi
  if [ "$purpose" = test ]; then
    has git || echo git
    has_java || echo java
    has mvn || echo maven
  fi
  return 0
}

install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if has sudo && sudo -n true 2>/dev/null; then as_root=(sudo -n)
    elif has sudo && [ -t 0 ]; then as_root=(sudo)
    else
      say "missing packages: $*"
      say "install them as root, for example: $(install_line "$@")"
      exit 1
    fi
  fi
  say "installing: $*"
  case "$manager" in
    apt-get)
      "${as_root[@]}" apt-get update -qq
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ;;
    dnf) "${as_root[@]}" dnf install -y -q "$@" ;;
    apk) "${as_root[@]}" apk add -q "$@" ;;
    pacman) "${as_root[@]}" pacman -Sy --needed --noconfirm "$@" ;;
    zypper) "${as_root[@]}" zypper --non-interactive install "$@" ;;
  esac
}

install_line() {
  case "$manager" in
    apk) echo "apk add $*" ;;
    pacman) echo "pacman -S $*" ;;
    *) echo "$manager install $*" ;;
  esac
}

install_rust() {
  if ! has rustup; then
    say "installing Rust by rustup into ~/.cargo"
    local script
    script=$(mktemp)
    if ! curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o "$script"; then
      rm -f "$script"
      say "cannot fetch https://sh.rustup.rs; install the package rustup, or Rust from https://rustup.rs"
      exit 1
    fi
    RUSTUP_INIT_SKIP_PATH_CHECK=yes sh "$script" -y -q --profile minimal --default-toolchain none --no-modify-path
    rm -f "$script"
  fi
  # The distribution's rustup may come without the cargo that dispatches to a toolchain.
  if ! has cargo; then rustup default "$(pinned_rust)" >&2; fi
}

manager=$(package_manager)
if [ "$manager" = apt-get ] && has apt-cache; then
  for candidate in openjdk-17-jdk-headless openjdk-21-jdk-headless openjdk-25-jdk-headless; do
    if apt-cache show "$candidate" >/dev/null 2>&1; then java_apt=$candidate; break; fi
  done
fi

mapfile -t tools < <(missing_tools)
if [ "${#tools[@]}" -gt 0 ]; then
  if [ "$manager" = none ]; then
    say "missing: ${tools[*]}; no known package manager was found (apt-get, dnf, apk, pacman, zypper)"
    exit 1
  fi
  packages=()
  for tool in "${tools[@]}"; do
    read -r -a names <<<"$(package_of "$tool")"
    packages+=("${names[@]}")
  done
  install_packages "${packages[@]}"
fi
has_rust || install_rust

# The toolchain is pinned in rust-toolchain.toml; rustup fetches it where it does not do so by itself.
cd "$root"
if has rustup && ! cargo --version >/dev/null 2>&1; then
  rustup toolchain install "$(pinned_rust)" --profile minimal --component rustfmt --component clippy >&2
fi
if ! cargo --version >/dev/null 2>&1; then
  say "cargo does not run: $(cargo --version 2>&1 | head -n 1)"
  exit 1
fi

# A second look: an old Java, say, may still come first.
mapfile -t tools < <(missing_tools)
if [ "${#tools[@]}" -gt 0 ]; then
  say "still missing after the installation: ${tools[*]}"
  exit 1
fi

#!/usr/bin/env bash
# Builds what docker-compose.yml runs where no image can be pulled: replisome:latest from cargo's release binary, and
# replisome-kafka:local, which takes the same environment as apache/kafka. Asks the machine's own package sources and
# Maven alone. For Debian and Ubuntu, as root, with a running dockerd.
#
#   REPLISOME_BINARY=PATH  packs this binary instead of building one
#   REBUILD_BASE=1         makes the two base images anew, with today's packages
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
export PATH="$HOME/.cargo/bin:$PATH"

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

install_tools() {
  local packages=()
  command -v docker >/dev/null || packages+=(docker.io)
  command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)
  command -v mvn >/dev/null || packages+=(maven)
  [ "${#packages[@]}" -gt 0 ] || return 0
  say "installing: ${packages[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

# The machine's own release from the machine's own sources: what is built here runs there.
base_image() { # NAME PACKAGES
  if [ -z "${REBUILD_BASE:-}" ] && docker image inspect "$1" >/dev/null 2>&1; then return; fi
  say "making $1"
  # shellcheck disable=SC1091
  . /etc/os-release
  # shellcheck disable=SC2016
  apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' \
    'Created-By: Packages' "Origin: ${ID^}" | sort -u >"$scratch/sources.list"
  [ -s "$scratch/sources.list" ] || fail "apt has no sources of ${ID^}; run apt-get update"
  mmdebstrap --quiet --variant=minbase --include="$2" "$VERSION_CODENAME" "$scratch/base.tar" "$scratch/sources.list"
  docker import "$scratch/base.tar" "$1" >/dev/null
  rm "$scratch/base.tar"
}

[ "$(id -u)" -eq 0 ] || fail "bootstrapping a base image needs root"
command -v apt-get >/dev/null || fail "no apt-get: this is for Debian and Ubuntu"
install_tools
docker info >/dev/null 2>&1 || fail "the docker daemon does not answer; start it, for example with: dockerd &"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ -z "${REPLISOME_BINARY:-}" ]; then
  "$root/tools/setup.sh" build
  (cd "$root" && cargo build --release --locked -p replisome)
  REPLISOME_BINARY=$(cd "$root" && tools/target-directory.sh)/release/replisome
fi

base_image replisome-base:local ca-certificates
base_image replisome-java:local default-jre-headless

say "making replisome:latest"
mkdir "$scratch/replisome"
cp "$REPLISOME_BINARY" "$scratch/replisome/replisome"
docker build -q -t replisome-runtime:local --target runtime --build-arg BASE_IMAGE=replisome-base:local \
  -f "$here/Dockerfile" "$scratch/replisome" >/dev/null
printf '%s\n' 'FROM replisome-runtime:local' 'COPY replisome /usr/local/bin/replisome' >"$scratch/Dockerfile"
docker build -q -t replisome:latest -f "$scratch/Dockerfile" "$scratch/replisome" >/dev/null

say "making replisome-kafka:local"
cp -r "$here/kafka" "$scratch/kafka"
mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -f "$root/tests/jars/kafka.xml" \
  -DoutputDirectory="$scratch/kafka/libs" </dev/null
docker build -q -t replisome-kafka:local --build-arg BASE_IMAGE=replisome-java:local "$scratch/kafka" >/dev/null

docker image ls --filter reference='replisome:latest' --filter reference='replisome-kafka:local' >&2
say "docker-compose.yml takes replisome:latest by itself, and the other with: export KAFKA_IMAGE=replisome-kafka:local"

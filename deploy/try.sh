#!/usr/bin/env bash
# Starts docker-compose.yml as a project of its own, copies a topic, kills a worker under load, and checks that only its
# partitions moved and that every record arrived in order. Exits non-zero at the first thing that is not so. Removes
# what it started, volumes included, unless KEEP=1.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly project=replisome-try topic=orders partitions=12 first_records=3000 load_seconds=20 victim=worker-2

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n=== %s\n' "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }

command -v jq >/dev/null || fail "jq is missing"
docker info >/dev/null 2>&1 || fail "the docker daemon does not answer"
if docker compose version >/dev/null 2>&1; then composer=(docker compose); else composer=(docker-compose); fi
compose() { "${composer[@]}" -p "$project" -f docker-compose.yml "$@"; }
# What deploy/local-images.sh made is used where it did.
if [ -z "${KAFKA_IMAGE:-}" ] && docker image inspect replisome-kafka:local >/dev/null 2>&1; then
  export KAFKA_IMAGE=replisome-kafka:local
fi

scratch=$(mktemp -d)
finish() {
  code=$?
  [ -z "${load:-}" ] || kill "$load" 2>/dev/null || true
  if [ "$code" -ne 0 ]; then
    compose ps >&2 || true
    compose logs --no-color --tail 15 >&2 || true
  fi
  if [ "${KEEP:-}" = 1 ]; then say "left running: ${composer[*]} -p $project"; else compose down -v >/dev/null 2>&1; fi
  if [ "${KEEP:-}" = 1 ]; then say "what was read is in $scratch"; else rm -rf "$scratch"; fi
  exit "$code"
}
trap finish EXIT

# Waits for a condition: SECONDS, what is waited for, the command.
within() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "not in time: $what"
    sleep 0.5
  done
}

container() { compose ps -q "$1"; }
replisome() { docker exec "$operator" replisome "$@"; }
kafka() { docker exec -i "$source" "/opt/kafka/bin/kafka-$1.sh" --bootstrap-server "$2:9092" "${@:3}"; }
all_healthy() {
  [ "$(docker ps -q --filter "label=com.docker.compose.project=$project" --filter health=healthy | wc -l)" -eq 8 ]
}
produce() { kafka console-producer source --topic "$topic" --property parse.key=true --property key.separator=: >/dev/null 2>&1; }
count() { kafka get-offsets "$1" --topic "$topic" 2>/dev/null | awk -F : '{ sum += $3 } END { print sum + 0 }'; }
has_at_least() { [ "$(count "$1")" -ge "$2" ]; }
# Each record as timestamp, partition, key and value: partition by partition, in order.
records() {
  kafka console-consumer "$1" --topic "$topic" --from-beginning --max-messages "$(count "$1")" --timeout-ms 60000 \
    --property print.timestamp=true --property print.partition=true --property print.key=true 2>"$scratch/errors" |
    grep Partition: | sort -s -t $'\t' -k 2,2
}
# All records of the source, each once: a consumer that lost its partitions on the way prints some twice for others.
source_has() { records source >"$scratch/source" && [ "$(sort -u "$scratch/source" | wc -l)" -eq "$1" ]; }
# One line for each partition: its number, state, worker and epoch.
assignments() {
  replisome assignment list -o json | jq -r '.[] | [.partition,
    if .state == "assigned" and .reason == null and .next_offset != null then "copying" else .state end,
    if .worker == "" then "-" else .worker end, .epoch] | map(tostring) | join(" ")' | sort -n
}
all_copied_by_others_than() {
  [ "$(assignments | awk -v not="$1" '$2 == "copying" && $3 != not' | wc -l)" -eq "$partitions" ]
}

step "two Kafka clusters, three controllers, three workers"
compose up -d >/dev/null 2>"$scratch/up" || { cat "$scratch/up" >&2; fail "compose up"; }
within 180 "all containers healthy" all_healthy
source=$(container source) operator=$(container controller-1)
docker ps --filter "label=com.docker.compose.project=$project" --format '{{.Names}}  {{.Status}}' | sort >&2

step "a topic of $partitions partitions with $first_records records, and a route that copies it"
kafka topics source --create --topic "$topic" --partitions "$partitions" >&2
seq "$first_records" | sed 's/.*/key-&:value-&/' | produce
[ "$(count source)" -eq "$first_records" ] || fail "the source has $(count source) records"
replisome cluster add source --bootstrap source:9092 >&2
replisome cluster add target --bootstrap target:9092 >&2
replisome route add try --source source --target target >&2
replisome topic add --route try "$topic" >&2
within 60 "all partitions being copied" all_copied_by_others_than nobody
within 60 "all records copied" has_at_least target "$first_records"
within 60 "the source read whole" source_has "$first_records"
records target >"$scratch/target"
diff "$scratch/source" "$scratch/target" >&2 || fail "source (<) and target (>) differ"
say "copied: $first_records records, with the same partition, order, timestamp, key and value"

step "docker kill $victim under load"
assignments >"$scratch/before"
awk '{ count[$3]++ } END { for (worker in count) print worker ": " count[worker] " partitions" }' "$scratch/before" | sort >&2
grep -q " $victim " "$scratch/before" || fail "$victim has no partition"
(for ((i = 0; i < load_seconds * 100; i++)); do printf 'load-%d:%d\n' "$((i % 997))" "$i"; sleep 0.01; done | produce) &
load=$!
sleep 5
dying=$(container "$victim")
killed=$SECONDS
docker kill "$dying" >/dev/null
within 60 "the partitions of $victim copied by others" all_copied_by_others_than "$victim"
say "moved within $((SECONDS - killed)) s"
assignments >"$scratch/after"
kept=0 moved=0
while read -r partition _ worker epoch && read -r after_partition _ after_worker after_epoch <&3; do
  [ "$partition" = "$after_partition" ] || fail "the list lost partition $partition"
  if [ "$worker" = "$victim" ]; then
    [ "$after_epoch" -gt "$epoch" ] || fail "partition $partition moved to $after_worker without a new epoch"
    moved=$((moved + 1))
  else
    [ "$worker $epoch" = "$after_worker $after_epoch" ] ||
      fail "partition $partition was on $worker (epoch $epoch) and is on $after_worker (epoch $after_epoch)"
    kept=$((kept + 1))
  fi
done <"$scratch/before" 3<"$scratch/after"
[ "$((moved + kept))" -eq "$partitions" ] || fail "$moved moved and $kept kept are not $partitions"
say "$moved partitions of $victim moved, the $kept others kept their worker and epoch"

step "nothing was lost"
wait "$load" || fail "the producer"
load=
total=$((first_records + load_seconds * 100))
[ "$(count source)" -eq "$total" ] || fail "the source has $(count source) records"
within 60 "the source read whole" source_has "$total"
# What was in flight when the worker died may have arrived twice; a record counts where it came first.
complete() {
  records target >"$scratch/target" && awk '!seen[$0]++' "$scratch/target" >"$scratch/first" &&
    cmp -s "$scratch/first" "$scratch/source"
}
arrived() { # Says what is not so: a record that is missing is another matter than one that is out of order.
  local deadline=$((SECONDS + 60))
  until complete; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      say "source: $(wc -l <"$scratch/source"); target: $(wc -l <"$scratch/target"), $(wc -l <"$scratch/first") different"
      diff "$scratch/source" "$scratch/first" | head -n 20 >&2
      assignments >&2
      cat "$scratch/errors" >&2
      return 1
    fi
    sleep 0.5
  done
}
arrived || fail "not every record is on the target in order: source (<) and first arrivals on the target (>) differ"
say "all $total records arrived in order; $(($(wc -l <"$scratch/target") - total)) arrived twice"

assignments | diff "$scratch/after" - >&2 || { replisome event list | tail -n 30 >&2; fail "partitions moved a second time"; }

step "done in $SECONDS s"

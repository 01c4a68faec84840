#!/usr/bin/env bash
# See it work: a real cluster, a registry, pushes, a deletion, a collection, and a push of the same.
#
#   ci/demo.sh
#
# Leaves the cluster up, with the release `demo` in the namespace `registry-demo`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly namespace=registry-demo port=30509
readonly registry="127.0.0.1:$port"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
tool() { python3 ci/cluster.py tool "$1" | tail -n 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say "1. A Kubernetes cluster (the first time on a machine this takes a while)"
KUBECONFIG=$(python3 ci/cluster.py up | tail -n 1)
KUBECACHEDIR="$(dirname "$KUBECONFIG")/discovery"
export KUBECONFIG KUBECACHEDIR
python3 ci/cluster.py images
helm=$(tool helm) kubectl=$(tool kubectl) crane=$(tool crane)
k() { "$kubectl" -n "$namespace" "$@"; }

say "2. The chart, with its collector, on a claim of its own"
"$helm" upgrade --install demo chart --namespace "$namespace" --create-namespace --wait \
    --set service.type=NodePort --set service.nodePort="$port" \
    --set persistence.enabled=true --set persistence.deleteEnabled=true \
    --set configData.storage.cache.blobdescriptor=inmemory \
    --set garbageCollect.enabled=true --set garbageCollect.gracePeriod=0s \
    --set garbageCollect.settlePeriod=3s --set garbageCollect.sidecar.memoryStartDelay=0s \
    >"$work/helm.log"
echo "The registry answers at http://$registry. Its descriptor cache is in memory, which is where"
echo "the registry's own garbage-collect loses images. For the demo nothing is too young to go."
for _ in $(seq 60); do "$crane" catalog --insecure "$registry" >/dev/null 2>&1 && break; sleep 1; done

say "3. Two images that share a layer of 8 MiB; each has 24 MiB of its own"
layer() {
    mkdir -p "$work/$1"
    head -c "$2" /dev/urandom >"$work/$1/file"
    tar -C "$work/$1" -cf "$work/$1.tar" file
}
layer base 8M
"$crane" append --insecure -f "$work/base.tar" -t "$registry/app:base" 2>/dev/null
for name in keep drop; do
    layer "$name" 24M
    "$crane" append --insecure -b "$registry/app:base" -f "$work/$name.tar" -t "$registry/app:$name" 2>/dev/null
    echo "pushed $registry/app:$name"
done
"$crane" pull --insecure --format=oci "$registry/app:drop" "$work/drop" 2>/dev/null

pod() { k get pods -l app=docker-registry,release=demo -o jsonpath='{.items[0].metadata.name}'; }
disk() {
    k exec "$(pod)" -c gc -- python3 -c '
import pathlib
files = [f for f in pathlib.Path("/var/lib/registry/docker/registry/v2").rglob("*") if f.is_file()]
print(f"on the disk: {sum(f.stat().st_size for f in files) / 2**20:.1f} MiB in {len(files)} files")'
}
disk

say "4. One of them is deleted; that alone frees nothing"
"$crane" delete --insecure "$registry/app@$("$crane" digest --insecure "$registry/app:drop")"
disk

say "5. A collection, with the button: a job made from the CronJob"
k delete job collect-now --ignore-not-found >/dev/null
k create job collect-now --from=cronjob/demo-docker-registry-garbage-collector
for _ in $(seq 120); do
    [ -z "$(k get job collect-now -o jsonpath='{.status.succeeded}{.status.failed}')" ] || break
    sleep 1
done
k logs job/collect-now
disk

say "6. The deleted image again: what is pushed is there, and what was kept is whole"
for _ in $(seq 60); do "$crane" catalog --insecure "$registry" >/dev/null 2>&1 && break; sleep 1; done
"$crane" push --insecure "$work/drop" "$registry/app:drop" 2>/dev/null
for name in keep drop; do
    "$crane" validate --insecure --remote "$registry/app:$name" 2>&1 | tail -n 1
done
disk

say "The cluster stays. Try next:"
cat <<LINES
  export KUBECONFIG=$KUBECONFIG KUBECACHEDIR=$KUBECACHEDIR
  $kubectl -n $namespace get pods
  $kubectl -n $namespace exec $(pod) -c gc -- registry-gc plan
  $crane ls --insecure $registry/app
  make down        # removes it
LINES

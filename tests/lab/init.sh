#!/bin/bash
# PID 1 of a lab: a bridge, an etcd, and one systemd-nspawn host per name. Whatever it makes dies with it.
#
#     init.sh TAG BASE MASTERS GATEWAY/PREFIX HOST=ADDRESS...
#
# BASE: directories for overlayfs, the uppermost first, with colons between them; MASTERS/HOST: what one host has on top.
# It runs in net, mount, pid and ipc namespaces of its own (see namespaces.py); its cgroups are called TAG-HOST.
set -euo pipefail
TAG=$1 BASE=$2 MASTERS=$3 GATEWAY=${4%/*} PREFIX=${4#*/}
shift 4
LAB=/run/lab

mount --make-rprivate /
# Nothing may be left in the machine's /run.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns "$LAB"

# Joins a cgroup of its own in every hierarchy: nspawn and the kubelet make theirs below it.
enter_cgroups() {
    local memberships controller path directory group
    memberships=$(</proc/self/cgroup) # a snapshot: the file changes while it is acted upon
    while IFS=: read -r _ controller path; do
        case $controller in
        '')
            directory=/sys/fs/cgroup/unified
            [ -d "$directory" ] || directory=/sys/fs/cgroup
            ;;
        name=*) directory=/sys/fs/cgroup/${controller#name=} ;;
        *) directory=/sys/fs/cgroup/$controller ;;
        esac
        [ -d "$directory" ] || continue
        directory=$directory${path%/}
        group=$directory/$1
        mkdir -p "$group"
        if [ "$controller" = cpuset ]; then
            cat "$directory/cpuset.cpus" >"$group/cpuset.cpus"
            cat "$directory/cpuset.mems" >"$group/cpuset.mems"
            echo 1 >"$group/cgroup.clone_children"
        fi
        echo 0 >"$group/cgroup.procs"
    done <<<"$memberships"
}

add_network() {
    local host=$1 address=$2
    ip netns add "$host"
    ip link add "p-$host" type veth peer name eth0 netns "$host"
    ip link set "p-$host" master br0 up
    ip -n "$host" link set lo up
    ip -n "$host" addr add "$address/$PREFIX" dev eth0 "${AT_ONCE[@]}"
    ip -n "$host" link set eth0 up
    ip -n "$host" route add default via "$GATEWAY"
}

# The host's root: an overlay in memory. containerd and the kubelet can't work on an overlay: they get plain memory.
make_root() {
    local host=$1 here=$LAB/$1 entry
    mkdir -p "$here"/{upper,scratch,merged,containerd,kubelet}
    mount -t overlay "$host" -o "lowerdir=$MASTERS/$host:$BASE,upperdir=$here/upper,workdir=$here/scratch" "$here/merged"
    cp -a "$here/merged/var/lib/kubelet/." "$here/kubelet/"
    echo "$host" >"$here/merged/etc/hostname"
    {
        [[ $GATEWAY == *:* ]] && echo "::1 localhost" || echo "127.0.0.1 localhost"
        for entry in "${HOSTS[@]}"; do
            # Every host is its own control plane endpoint, as with a load balancer on the host.
            [ "${entry%=*}" = "$host" ] && echo "${entry#*=} $host masters.lab" || echo "${entry#*=} ${entry%=*}"
        done
    } >"$here/merged/etc/hosts"
    # What lab-reset goes back to.
    mkdir "$here/merged/opt/pristine"
    cp -a "$here/merged/etc/kubernetes" "$here/merged/etc/hosts" "$here/merged/opt/pristine/"
}

boot() {
    local host=$1 here=$LAB/$1 code=133
    enter_cgroups "$TAG-$host"
    make_root "$host"
    # With --keep-unit nspawn ends with 133 when the guest reboots.
    while [ "$code" = 133 ]; do
        code=0
        systemd-nspawn --quiet --boot --directory="$here/merged" --machine="$host" --register=no --keep-unit \
            --network-namespace-path="/run/netns/$host" --console=read-only --resolv-conf=off --timezone=off \
            --link-journal=no --capability=all \
            --system-call-filter="add_key keyctl request_key bpf perf_event_open" --bind=/dev/kmsg \
            --bind="$here/containerd:/var/lib/containerd" --bind="$here/kubelet:/var/lib/kubelet" \
            </dev/null || code=$?
    done
}

ip link set lo up
ip link add br0 type bridge
# An IPv6 address is not usable before it has waited for others to claim it; here are none.
AT_ONCE=() URL=$GATEWAY
if [[ $GATEWAY == *:* ]]; then AT_ONCE=(nodad) URL=[$GATEWAY]; fi
ip addr add "$GATEWAY/$PREFIX" dev br0 "${AT_ONCE[@]}"
ip link set br0 up

mkdir "$LAB/etcd"
"${BASE##*:}/usr/bin/etcd" --name lab --data-dir "$LAB/etcd" --log-level warn \
    --listen-client-urls "http://$URL:2379" --advertise-client-urls "http://$URL:2379" \
    --listen-peer-urls "http://$URL:2380" --initial-advertise-peer-urls "http://$URL:2380" \
    --initial-cluster "lab=http://$URL:2380" &

HOSTS=("$@")
for entry in "${HOSTS[@]}"; do
    add_network "${entry%=*}" "${entry#*=}"
    boot "${entry%=*}" &
done
wait

#!/usr/bin/env bash
# A real Slurm of two nodes on one machine for tests and for trying scripts, on Debian or Ubuntu, as root.
#
#   scripts/slurm/test-cluster.sh up            install it if needed, start it, end when it has run a job
#   eval "$(scripts/slurm/test-cluster.sh env)" let sbatch, srun, squeue of this shell talk to it
#   scripts/slurm/test-cluster.sh status        0 if it is up
#   scripts/slurm/test-cluster.sh down          cancel its jobs and stop what `up` started
#
# Settings: OOD_SLURM_DIR   state, logs, keys and configuration (/var/tmp/ood-lightning-slurm)
#           OOD_SLURM_CPUS  CPUs that both nodes together claim to have (the real ones, at least 4)
#           OOD_SLURM_PORT  first of three TCP ports on 127.0.0.1 (26917)
#
# Everything lies in one folder. A Slurm that is already on the machine is left alone: nothing is written to /etc/slurm,
# the munge key and socket are its own, and `down` ends a process only if its command line names that folder.
# No systemd, no cgroups (so no limits on memory), no accounting (so `sacct` is empty: see `scontrol show job` and
# jobs.txt). Jobs in partition `debug` are requeued when one in `urgent` wants their CPUs.
set -euo pipefail

dir=${OOD_SLURM_DIR:-/var/tmp/ood-lightning-slurm}
conf=$dir/slurm.conf
port=${OOD_SLURM_PORT:-26917}
host=$(hostname -s)
nodes=("$host" "$host-b") # the first one's name is looked up by the ranks of a job; no digits behind, or both would be host[1-2]
real_cpus=$(nproc)
cpus=${OOD_SLURM_CPUS:-$((real_cpus > 4 ? real_cpus : 4))}
export PATH=$PATH:/usr/sbin:/sbin

for variable in "${!SLURM_@}"; do unset "$variable"; done # of a job that this may run in
export SLURM_CONF=$conf

log() { echo "test-cluster: $*" >&2; }
fail() {
    log "$*"
    exit 1
}

# The process id of one of our daemons, if it runs: its pid file is no proof, since ids are used again.
pid_of() { # munged | slurmctld | slurmd-NODE
    local pid command
    pid=$(cat "$dir/$1.pid" 2>/dev/null | tr -dc 0-9) || return 1
    [[ -n $pid && -r /proc/$pid/cmdline ]] || return 1
    command=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) || return 1 # empty for a zombie
    [[ $command == *"${1%%-*}"* && $command == *"$dir/"* ]] || return 1
    echo "$pid"
}

stop() { # munged | slurmctld | slurmd-NODE
    local pid tries
    if pid=$(pid_of "$1"); then
        kill "$pid" 2>/dev/null || true
        for ((tries = 0; tries < 100; tries++)); do
            pid_of "$1" >/dev/null || break
            sleep 0.1
        done
        if pid_of "$1" >/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$dir/$1.pid"
}

stop_all() {
    local daemon
    for daemon in "${nodes[@]/#/slurmd-}" slurmctld munged; do stop "$daemon"; done
}

answers() {
    local node
    for node in munged slurmctld "${nodes[@]/#/slurmd-}"; do pid_of "$node" >/dev/null || return 1; done
    # each node stands in two partitions
    [[ $(timeout 5 sinfo --noheader --Node --format='%N %t' 2>/dev/null | sort -u | grep -Ec ' (idle|mix|alloc|comp)$') == "${#nodes[@]}" ]]
}

install_packages() {
    local program missing=()
    for program in munged slurmctld slurmd sbatch srun; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "${missing[*]} not found and no apt-get here: install Slurm and munge first"
    log "installing slurm-wlm and munge (${missing[*]} not found)"
    {
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends slurm-wlm munge
    } >"$dir/apt.log" 2>&1 </dev/null 9>&- || fail "apt-get failed: $(tail -n 3 "$dir/apt.log")"
}

write_conf() {
    local memory_mib version i
    memory_mib=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    cat >"$conf" <<CONF
ClusterName=oodlightning
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits until its credential has expired: 2 minutes unless told
AuthInfo=socket=$dir/munge.socket,cred_expire=10
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/jobs.txt
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
MinJobAge=300
ReturnToService=2
# a node may claim more CPUs than its share of the machine
SlurmdParameters=config_overrides
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
CONF
    for i in "${!nodes[@]}"; do
        echo "NodeName=${nodes[i]} NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1 + i))" \
            "CPUs=$(((cpus + 1) / 2)) RealMemory=$memory_mib State=UNKNOWN" >>"$conf"
    done
    version=$(slurmd -V | grep -Eo '[0-9]+\.[0-9]+' | head -n 1)
    if [[ $(printf '%s\n' "$version" 23.11 | sort -V | head -n 1) == 23.11 ]]; then
        echo "CgroupPlugin=disabled" >"$dir/cgroup.conf" # from 23.11 on slurmd loads one even if nothing wants it
    fi
}

up() {
    [[ $(id -u) == 0 ]] || fail "needs root: slurmd starts jobs for their users"
    [[ ! -e $dir || -O $dir ]] || fail "$dir belongs to another account: set OOD_SLURM_DIR"
    umask 022
    mkdir -p "$dir/state" "${nodes[@]/#/$dir/spool-}"
    exec 9>"$dir/lock" # two of these at once would start two of each; the daemons must not inherit it
    flock --timeout 300 9 || fail "another 'up' has been at work for 5 minutes"
    install_packages
    if answers; then
        log "already up"
        return
    fi
    stop_all
    rm -f "$dir/munge.socket" "$dir/munge.socket.lock"
    [[ -s $dir/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munged.seed" >"$dir/munged.out" 2>&1 9>&- ||
        fail "munged did not start: $(tail -n 3 "$dir/munged.out" "$dir/munged.log")"
    write_conf
    # -c, -i: jobs of an earlier start are gone, and a state of another host name would keep the node down
    slurmctld -c -i -f "$conf" >"$dir/start.out" 2>&1 9>&- || fail "slurmctld did not start: $(tail -n 3 "$dir/start.out")"
    local node tries
    for node in "${nodes[@]}"; do
        slurmd -c -N "$node" -f "$conf" >"$dir/start.out" 2>&1 9>&- ||
            fail "slurmd did not start: $(tail -n 3 "$dir/start.out")"
    done
    for ((tries = 0; tries < 150; tries++)); do
        answers && break
        ((tries == 50)) && scontrol update nodename="$(IFS=,; echo "${nodes[*]}")" state=resume 2>/dev/null || true
        sleep 0.2
    done
    answers || fail "no two nodes after 30 s: $(tail -n 3 "$dir/slurmctld.log" "$dir"/slurmd-*.log)"
    timeout 30 srun --quiet --nodes=2 --ntasks-per-node=1 --chdir=/ --job-name=probe true 9>&- ||
        fail "the nodes are listed but run no job: $(tail -n 3 "$dir"/slurmd-*.log)"
    log "up: nodes ${nodes[*]} with $(((cpus + 1) / 2)) CPUs each. For clients:  export SLURM_CONF=$conf"
}

down() {
    local tries
    if answers; then
        scancel --quiet --state=PENDING 2>/dev/null || true
        scancel --quiet --state=RUNNING 2>/dev/null || true
        for ((tries = 0; tries < 75; tries++)); do # KillWait and a little more
            [[ -z $(squeue --noheader 2>/dev/null) ]] && break
            sleep 0.2
        done
    fi
    stop_all
    log "down; logs stay in $dir"
}

case ${1:-} in
    up) up ;;
    down) down ;;
    status)
        answers || fail "not up"
        sinfo
        ;;
    env) echo "export SLURM_CONF=$conf" ;;
    *) fail "usage: ${0##*/} up|down|status|env" ;;
esac

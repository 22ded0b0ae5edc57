# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees of files as the systems have them on which people run routers, as far as they decide what the next boot sets.

A text ``-> X`` is a symbolic link to X, one that begins with ``#!`` an executable file, and a name that ends in / an
empty directory.
"""

from __future__ import annotations

import pathlib
import typing as t

RELEASE = "6.12.0-router"
PREFIX = "net.netfilter.nf_conntrack_"

SYSTEMD = {"sbin/init": "-> ../lib/systemd/systemd", "run/systemd/system/": ""}

_NAMES = ("acct", "buckets", "checksum", "count", "expect_max", "max", "tcp_be_liberal", "tcp_loose", "tcp_max_retrans")
_TIMEOUTS = ("generic", "tcp_established", "tcp_close_wait", "tcp_syn_recv", "udp", "udp_stream")

KERNEL = {
    "proc/cmdline": "quiet\n",
    "proc/sys/kernel/osrelease": f"{RELEASE}\n",
    **{f"proc/sys/net/netfilter/nf_conntrack_{name}": "1\n" for name in (*_NAMES, "timestamp")},
    **{
        f"proc/sys/net/netfilter/nf_conntrack_{protocol}_timeout{'_' if state else ''}{state}": "1\n"
        for protocol, _blank, state in (name.partition("_") for name in _TIMEOUTS)
    },
    "proc/sys/net/nf_conntrack_max": "1\n",
}

MODULE = {
    **KERNEL,
    "proc/modules": "nf_conntrack 180224 3 nf_nat,nft_ct, Live 0x0\nnf_nat 57344 1 nft_chain_nat, Live 0x0\n",
    f"lib/modules/{RELEASE}/modules.dep": "".join(
        f"kernel/net/{path}.ko.xz: {' '.join(f'kernel/net/{each}.ko.xz' for each in needs)}\n"
        for path, needs in {
            "netfilter/nf_conntrack": ("ipv4/netfilter/nf_defrag_ipv4",),
            "netfilter/nf_conntrack_ftp": ("netfilter/nf_conntrack",),
            "netfilter/nf_conntrack_netlink": ("netfilter/nfnetlink", "netfilter/nf_conntrack"),
            "netfilter/nf_nat": ("netfilter/nf_conntrack",),
            "netfilter/nfnetlink": (),
            "netfilter/ipvs/ip_vs": ("netfilter/nf_conntrack",),
            "bridge/br_netfilter": ("bridge/bridge",),
            "bridge/bridge": (),
        }.items()
    ),
    f"lib/modules/{RELEASE}/modules.alias": (
        "# Aliases extracted from modules themselves.\n"
        "alias nf_conntrack-2 nf_conntrack\nalias ip_conntrack nf_conntrack\nalias ip_conntrack_ftp nf_conntrack_ftp\n"
        "alias ip_ct_event-1 nf_conntrack_netlink\n"
    ),
    f"lib/modules/{RELEASE}/modules.softdep": "softdep br_netfilter post: nft_chain_nat\n",
}
"""A kernel with nf_conntrack as a module, which a rule has loaded since."""


def assignment(short: str, value: int) -> str:
    return f"{PREFIX}{short} = {value}\n"


DEBIAN_12 = {
    **MODULE,
    **SYSTEMD,
    "etc/debian_version": "12.7\n",
    "etc/modules": "# /etc/modules: kernel modules to load at boot time.\nnf-conntrack\n",
    "etc/modules-load.d/modules.conf": "-> ../modules",
    "etc/sysctl.conf": assignment("tcp_timeout_established", 7200),
    "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf",
    "etc/sysctl.d/50-router.conf": assignment("max", 524288) + assignment("tcp_timeout_established", 3600),
    "usr/lib/sysctl.d/50-default.conf": "net.ipv4.ping_group_range = 0 2147483647\n",
    "usr/sbin/ifup": "#!/bin/sh\n",
    "etc/network/interfaces": (
        "source /etc/network/interfaces.d/*\nauto eth0\niface eth0 inet dhcp\n"
        "    post-up sysctl -w net.netfilter.nf_conntrack_udp_timeout=20\n"
    ),
    "etc/network/interfaces.d/wan": "iface wan\n  up echo 0 > /proc/sys/net/netfilter/nf_conntrack_checksum\n",
}
"""The module early by a link to /etc/modules; /etc/sysctl.conf read by a link, by the name of the link."""

DEBIAN_13 = {
    **MODULE,
    **SYSTEMD,
    "etc/debian_version": "13.1\n",
    "etc/sysctl.conf": assignment("max", 1048576),
    "etc/sysctl.d/50-router.conf": assignment("acct", 1),
}
"""No link to /etc/sysctl.conf, and nothing that loads the module early."""

UBUNTU_24 = {
    **MODULE,
    **SYSTEMD,
    "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf",
    "etc/sysctl.conf": assignment("max", 262144),
    "etc/modules-load.d/modules.conf": "-> ../modules",
    "etc/modules": "# nothing\n",
    "etc/ufw/ufw.conf": "ENABLED=yes\n",
    "etc/ufw/sysctl.conf": "net/netfilter/nf_conntrack_tcp_loose=0\n",
    "etc/default/ufw": "IPT_SYSCTL=/etc/ufw/sysctl.conf\n",
    "etc/rc.local": "#!/bin/sh\nsysctl -p\nexit 0\nsysctl -w net.netfilter.nf_conntrack_acct=1\n",
    "etc/networkd-dispatcher/routable.d/50-ct": "#!/bin/sh\nsysctl -qw net.netfilter.nf_conntrack_acct=1\n",
}
"""Late; rc.local applies /etc/sysctl.conf further on, when the module may be there."""

ALMA_9 = {
    **MODULE,
    **SYSTEMD,
    "etc/sysctl.conf": "# empty\n",
    "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf",
    "etc/sysctl.d/90-ct.conf": assignment("max", 786432) + "net.nf_conntrack_max = 1\n",
    "usr/lib/modprobe.d/firewalld-sysctls.conf": (
        "install nf_conntrack /usr/sbin/modprobe --ignore-install nf_conntrack $CMDLINE_OPTS && "
        "/usr/sbin/sysctl --quiet --pattern 'net[.]netfilter[.]nf_conntrack.*' --system\n"
    ),
    "etc/tuned/active_profile": "router\n",
    "etc/tuned/router/tuned.conf": "[sysctl]\nnet.netfilter.nf_conntrack_acct=1\n",
    "proc/700/comm": "tuned\n",
    "proc/701/comm": "firewalld\n",
    "etc/firewalld/firewalld.conf": "CleanupOnExit=yes\n",
}
"""firewalld's file in modprobe.d applies the lines for net.netfilter to a late module; tuned writes as well."""

LEAP_15 = {
    **MODULE,
    **SYSTEMD,
    "usr/lib/sysctl.d/50-default.conf": assignment("tcp_timeout_established", 86400),
    "etc/sysctl.d/70-yast.conf": "net.ipv4.ip_forward = 1\n",
    "etc/sysctl.conf": assignment("max", 5),
    "usr/lib/modules-load.d/ip_vs.conf": "ip-vs\n",
    "etc/modprobe.d/50-ct.conf": "options nf_conntrack hashsize=65536 acct=1\noptions nf_conntrack_ftp hashsize=1\n",
}
"""Early by a module that needs it; /etc/sysctl.conf has no link here. The module's options set two settings."""

ARCH = {
    **MODULE,
    **SYSTEMD,
    "etc/mkinitcpio.conf": "MODULES=(virtio nf_conntrack)\nHOOKS=(base udev)\n",
    "boot/initramfs-linux.img": "built\n",
    "etc/sysctl.d/99-router.conf": f"{PREFIX}*_timeout = 30\n" + assignment("udp_timeout", 10),
    "etc/systemd/system/multi-user.target.wants/ct.service": "-> /etc/systemd/system/ct.service",
    "etc/systemd/system/ct.service": (
        "[Service]\nType=oneshot\nExecStart=/usr/bin/sysctl -w net.netfilter.nf_conntrack_max=1000000\n"
    ),
    "etc/systemd/system/ct.service.d/override.conf": (
        "[Service]\nExecStart=\nExecStart=-/usr/bin/sysctl -w \\\n  net.netfilter.nf_conntrack_max=2000000\n"
    ),
    "etc/systemd/system/off.service": "[Service]\nExecStart=/usr/bin/sysctl -w net.netfilter.nf_conntrack_acct=1\n",
}
"""The initial RAM disk loads the module. A unit writes a setting, by its drop-in; another one is not enabled."""

ALPINE = {
    **MODULE,
    "sbin/openrc": "",
    "sbin/init": "-> /bin/busybox",
    "sbin/sysctl": "-> /bin/busybox",
    "etc/init.d/sysctl": "#!/sbin/openrc-run\ndepend() {\n\tafter clock\n}\n",
    "etc/init.d/modules": "#!/sbin/openrc-run\n# reads /etc/modules and modules-load.d\n",
    "etc/runlevels/boot/sysctl": "-> /etc/init.d/sysctl",
    "etc/runlevels/boot/modules": "-> /etc/init.d/modules",
    "etc/runlevels/default/local": "-> /etc/init.d/local",
    "etc/modules": "af_packet\nip_conntrack # by its old name\n",
    "usr/lib/sysctl.d/00-alpine.conf": assignment("tcp_timeout_established", 86400),
    "etc/sysctl.d/99-router.conf": f"{PREFIX}* = 7\n" + assignment("max", 65536) + assignment("acct", 1),
    "etc/sysctl.conf": assignment("max", 131072),
    "etc/local.d/ct.start": "#!/bin/sh\necho 45 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout\n",
    "etc/local.d/off.start": "echo 45 > /proc/sys/net/netfilter/nf_conntrack_generic_timeout\n",
}
"""busybox: no wildcards. /etc/sysctl.conf comes after the drop-ins."""

OPENWRT = {
    **{name: text for name, text in MODULE.items() if not name.startswith("lib/modules")},
    "sbin/procd": "",
    "etc/openwrt_release": "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='24.10.0'\n",
    "etc/modules.d/nf-conntrack": "nf_conntrack\nnf_defrag_ipv4\n",
    "etc/sysctl.d/10-default.conf": "net.ipv4.tcp_syncookies=1\n",
    "etc/sysctl.d/11-nf-conntrack.conf": "".join(
        assignment(short, value)
        for short, value in {"acct": 1, "checksum": 0, "tcp_timeout_established": 7440, "udp_timeout": 60}.items()
    ),
    "etc/sysctl.conf": assignment("tcp_timeout_established", 3600),
    "usr/lib/sysctl.d/50-x.conf": assignment("max", 1),
    "etc/rc.local": "sysctl -w net.netfilter.nf_conntrack_max=65536\nexit 0\n",
    "etc/firewall.user": "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal\n",
}
"""kmodloader loads the module before; only /etc/sysctl.d and /etc/sysctl.conf are read."""

VYOS = {
    **MODULE,
    **SYSTEMD,
    "etc/vyos-release": "VyOS 1.4.0\n",
    "etc/modprobe.d/vyatta_nf_conntrack.conf": "options nf_conntrack hashsize=32768\n",
    "etc/sysctl.d/30-vyos-router.conf": "net.ipv4.ip_forward=1\n",
    "etc/sysctl.d/90-netops-conntrack.conf": assignment("max", 1048576),
    "etc/modules-load.d/90-netops-conntrack.conf": "nf_conntrack\n",
    "run/sysctl/10-vyos-conntrack.conf": "\n"
    + assignment("expect_max", 2048)
    + assignment("max", 262144)
    + assignment("tcp_loose", 1)
    + assignment("tcp_max_retrans", 3)
    + assignment("acct", 0)
    + assignment("timestamp", 0),
}
"""The configuration is loaded after the drop-ins are applied, and writes the same settings."""

PROXMOX_8 = {
    **MODULE,
    **SYSTEMD,
    "etc/debian_version": "12.7\n",
    "etc/pve/firewall/cluster.fw": "[OPTIONS]\n\nenable: 1\n",
    "etc/pve/local/host.fw": "[OPTIONS]\nnf_conntrack_max: 1048576\nlog_level_in: nolog\n[RULES]\n",
    "proc/900/comm": "pve-firewall\n",
    "etc/modules-load.d/ct.conf": "nf_conntrack\n",
    "etc/sysctl.d/pve-firewall.conf": "net.bridge.bridge-nf-call-iptables = 1\n",
    "etc/sysctl.d/90-ct.conf": assignment("max", 262144) + assignment("tcp_timeout_syn_recv", 30),
}
"""pve-firewall writes three settings every ten seconds, whether host.fw has them or not."""

IPFIRE = {
    **KERNEL,
    "var/ipfire/": "",
    "etc/rc.d/rcsysinit.d/S01sysctl": "-> ../init.d/sysctl",
    "etc/rc.d/rcsysinit.d/S05modules": "-> ../init.d/modules",
    "etc/sysconfig/modules": "nf_conntrack\n",
    "etc/sysctl.conf": assignment("tcp_loose", 0) + assignment("acct", 1),
    "etc/sysctl.d/90-netops-conntrack.conf": assignment("max", 1048576),
    "etc/sysconfig/firewall.local": "#!/bin/sh\nsysctl -w net.netfilter.nf_conntrack_udp_timeout=20\n",
    "etc/modprobe.d/nf_conntrack.conf": "options nf_conntrack nf_conntrack_helper=0\n",
}
"""nf_conntrack is part of the kernel. /etc/sysctl.d is not read at all."""

NIXOS = {
    **{name.replace("lib/modules", "run/booted-system/kernel-modules/lib/modules"): MODULE[name] for name in MODULE},
    "run/systemd/system/": "",
    "etc/modules-load.d/nixos.conf": "bridge\nip_conntrack_ftp\n",
    "etc/sysctl.d/60-nixos.conf": assignment("max", 262144),
    "etc/sysctl.d/90-netops-conntrack.conf": assignment("max", 524288),
}
"""The lists of the kernel are not in /lib/modules."""

K3S = {
    **MODULE,
    **SYSTEMD,
    "proc/400/comm": "k3s-server\n",
    "etc/modules-load.d/k8s.conf": "br_netfilter\n",
    "etc/sysctl.d/90-ct.conf": assignment("tcp_timeout_established", 54000) + assignment("udp_timeout", 20),
    "etc/udev/rules.d/91-ct.rules": (
        'ACTION=="add", SUBSYSTEM=="module", KERNEL=="nf_conntrack", \\\n'
        '  RUN+="/usr/lib/systemd/systemd-sysctl --prefix=/net/netfilter"\n'
    ),
}
"""Late, but for a udev rule; k3s writes what kube-proxy writes."""

VOID = {
    **MODULE,
    "etc/runit/1": "",
    "etc/runit/core-services/02-kmods.sh": "",
    "etc/runit/core-services/08-sysctl.sh": "",
    "etc/modules-load.d/ct.conf": "nf_conntrack\n",
    "etc/modprobe.d/off.conf": "blacklist nf_conntrack\n",
    "etc/sysctl.d/50-a.conf": assignment("max", 1),
    "run/sysctl.d/50-a.conf": assignment("acct", 1),
}
"""modules-load obeys the blacklist."""

DEVUAN = {
    **MODULE,
    "etc/inittab": "",
    "etc/init.d/procps": "#!/bin/sh\n",
    "etc/rcS.d/S07kmod": "-> ../init.d/kmod",
    "etc/rcS.d/S11procps": "-> ../init.d/procps",
    "etc/modules": "nf_conntrack hashsize=4096\n",
    "etc/modprobe.d/off.conf": "blacklist nf_conntrack\n",
    "etc/sysctl.conf": assignment("max", 131072),
    "etc/sysctl.d/zz.conf": assignment("max", 1),
    "etc/rc2.d/S01firewall": "#!/bin/sh\nsysctl -w net.netfilter.nf_conntrack_acct=1\n",
}
"""A blacklist line does not stop what is asked for by its name."""

GENTOO = {
    **MODULE,
    "usr/sbin/openrc": "",
    "etc/init.d/sysctl": "#!/sbin/openrc-run\nsysctl --system\n",
    "etc/init.d/modules": "#!/sbin/openrc-run\n",
    "etc/runlevels/boot/modules": "-> /etc/init.d/modules",
    "etc/conf.d/modules": 'modules="nf_nat"\n',
    "etc/sysctl.d/a.conf": assignment("max", 5),
}
"""The service sysctl was taken out of all runlevels."""

UNKNOWN = {**MODULE, "etc/s6-linux-init/": "", "etc/sysctl.d/a.conf": assignment("max", 5)}

SYSTEMS: dict[str, dict[str, str]] = {
    "debian 12": DEBIAN_12,
    "debian 13": DEBIAN_13,
    "ubuntu 24.04": UBUNTU_24,
    "alma 9": ALMA_9,
    "leap 15": LEAP_15,
    "arch": ARCH,
    "alpine": ALPINE,
    "openwrt 24.10": OPENWRT,
    "vyos 1.4": VYOS,
    "proxmox ve 8": PROXMOX_8,
    "ipfire": IPFIRE,
    "nixos": NIXOS,
    "k3s": K3S,
    "void": VOID,
    "devuan": DEVUAN,
    "gentoo": GENTOO,
    "s6": UNKNOWN,
}


def build(root: pathlib.Path, files: t.Mapping[str, str]) -> None:
    """Make the files of a system below ``root``."""
    for name, text in files.items():
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text[3:])
        elif not name.endswith("/"):
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)

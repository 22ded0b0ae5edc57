# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to this collection: it can change without notice.

"""Numbers of the kernel's user API (its uapi headers), and the names that conntrack(8) gives them."""

from __future__ import annotations

import socket

# linux/netlink.h
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_DUMP_INTR = 0x010
NLA_TYPE_MASK = 0x3FFF
NLA_F_NESTED = 0x8000

# linux/netfilter/nfnetlink.h: the subsystem is the high byte of a message's type
_CTNETLINK = 1 << 8
CT_NEW = _CTNETLINK | 0
CT_GET = _CTNETLINK | 1
CT_DELETE = _CTNETLINK | 2
CT_GET_STATS_CPU = _CTNETLINK | 4
_CTNETLINK_EXP = 2 << 8
EXPECT_NEW = _CTNETLINK_EXP | 0
EXPECT_GET = _CTNETLINK_EXP | 1
EXPECT_DELETE = _CTNETLINK_EXP | 2

# linux/netfilter/nfnetlink_conntrack.h, enum ctattr_type: the attributes of an entry
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO, CTA_HELP = 1, 2, 3, 4, 5
CTA_NAT_SRC, CTA_NAT_DST = 6, 13
CTA_TIMEOUT, CTA_MARK, CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY, CTA_USE, CTA_ID = 7, 8, 9, 10, 11, 12
CTA_ZONE, CTA_SECCTX, CTA_TIMESTAMP, CTA_MARK_MASK, CTA_LABELS, CTA_FILTER, CTA_STATUS_MASK = 18, 19, 20, 21, 22, 25, 26

# enum ctattr_expect: the attributes of an expectation, and those of its NAT
CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_TIMEOUT, CTA_EXPECT_ID = 1, 2, 3, 4, 5
CTA_EXPECT_HELP_NAME, CTA_EXPECT_ZONE, CTA_EXPECT_FLAGS, CTA_EXPECT_CLASS, CTA_EXPECT_NAT, CTA_EXPECT_FN = range(6, 12)
CTA_EXPECT_NAT_DIR, CTA_EXPECT_NAT_TUPLE = 1, 2

# The attributes inside of these: enum ctattr_tuple, ctattr_ip, ctattr_l4proto, ...
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_TUPLE_ZONE = 1, 2, 3
CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST = 1, 2, 3, 4
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3
CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE = 4, 5, 6
CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE = 7, 8, 9
CTA_PROTOINFO_TCP, CTA_PROTOINFO_DCCP, CTA_PROTOINFO_SCTP = 1, 2, 3
CTA_PROTOINFO_TCP_STATE = CTA_PROTOINFO_DCCP_STATE = CTA_PROTOINFO_SCTP_STATE = 1
CTA_PROTOINFO_DCCP_ROLE, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, CTA_PROTOINFO_SCTP_VTAG_REPLY = 2, 2, 3
CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY = 4, 5
CTA_NAT_V4_MINIP, CTA_NAT_V4_MAXIP, CTA_NAT_PROTO, CTA_NAT_V6_MINIP, CTA_NAT_V6_MAXIP = range(1, 6)
CTA_PROTONAT_PORT_MIN, CTA_PROTONAT_PORT_MAX = 1, 2
CTA_COUNTERS_PACKETS, CTA_COUNTERS_BYTES, CTA_COUNTERS32_PACKETS, CTA_COUNTERS32_BYTES = 1, 2, 3, 4
CTA_HELP_NAME = CTA_SECCTX_NAME = CTA_TIMESTAMP_START = CTA_FILTER_ORIG_FLAGS = 1
CTA_TIMESTAMP_STOP = 2

# net/netfilter/nf_internals.h: the bits of CTA_FILTER_ORIG_FLAGS, which say what of a tuple is meant
CTA_FILTER_F_CTA_IP_SRC, CTA_FILTER_F_CTA_IP_DST = 1 << 0, 1 << 1

# linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_status
EXPECTED = 1 << 0
SEEN_REPLY = 1 << 1
ASSURED = 1 << 2
CONFIRMED = 1 << 3
SRC_NAT = 1 << 4
DST_NAT = 1 << 5
SRC_NAT_DONE = 1 << 7
DST_NAT_DONE = 1 << 8
FIXED_TIMEOUT = 1 << 10
NAT_CLASH = 1 << 12
HELPER = 1 << 13
OFFLOAD = 1 << 14
HW_OFFLOAD = 1 << 15

STATUS_NAMES = {
    EXPECTED: "EXPECTED",
    SEEN_REPLY: "SEEN_REPLY",
    ASSURED: "ASSURED",
    CONFIRMED: "CONFIRMED",
    SRC_NAT: "SRC_NAT",
    DST_NAT: "DST_NAT",
    1 << 6: "SEQ_ADJUST",
    SRC_NAT_DONE: "SRC_NAT_DONE",
    DST_NAT_DONE: "DST_NAT_DONE",
    1 << 9: "DYING",
    FIXED_TIMEOUT: "FIXED_TIMEOUT",
    1 << 11: "TEMPLATE",
    NAT_CLASH: "NAT_CLASH",
    HELPER: "HELPER",
    OFFLOAD: "OFFLOAD",
    HW_OFFLOAD: "HW_OFFLOAD",
}

# linux/netfilter/nf_conntrack_common.h, NF_CT_EXPECT_*
EXPECT_FLAG_NAMES = {1 << 0: "PERMANENT", 1 << 1: "INACTIVE", 1 << 2: "USERSPACE"}

# linux/in.h; the names are those that conntrack(8) prints
ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136
PROTOCOL_NAMES = {
    ICMP: "icmp",
    TCP: "tcp",
    UDP: "udp",
    DCCP: "dccp",
    GRE: "gre",
    ICMPV6: "icmpv6",
    SCTP: "sctp",
    UDPLITE: "udplite",
}
PORT_PROTOCOLS = frozenset({TCP, UDP, DCCP, SCTP, UDPLITE})
ICMP_PROTOCOLS = frozenset({ICMP, ICMPV6})

# nf_conntrack_tcp.h, nf_conntrack_sctp.h and net/netfilter/nf_conntrack_proto_dccp.c: the index is the state's number
STATE_NAMES: dict[int, tuple[str, ...]] = {
    TCP: (
        "NONE",
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
        "CLOSE",
        "SYN_SENT2",
    ),
    SCTP: (
        "NONE",
        "CLOSED",
        "COOKIE_WAIT",
        "COOKIE_ECHOED",
        "ESTABLISHED",
        "SHUTDOWN_SENT",
        "SHUTDOWN_RECD",
        "SHUTDOWN_ACK_SENT",
        "HEARTBEAT_SENT",
    ),
    DCCP: ("NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"),
}

# linux/netfilter/nf_conntrack_dccp.h, enum ct_dccp_roles; the names are those that conntrack(8) prints
DCCP_ROLE_NAMES = {0: "client", 1: "server"}

FAMILY_NAMES = {int(socket.AF_INET): "ipv4", int(socket.AF_INET6): "ipv6"}

# linux/netfilter/nf_conntrack_tcp.h, IP_CT_TCP_FLAG_*
TCP_FLAG_SACK_PERM, TCP_FLAG_CLOSE_INIT, TCP_FLAG_BE_LIBERAL = 0x02, 0x04, 0x08

# invmap[] in net/netfilter/nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c
ICMP_REPLY_TYPES = {
    ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
    ICMPV6: {128: 129, 129: 128, 139: 140, 140: 139},
}
"""By the type of a message that begins an entry, the type of its reply. The kernel tracks no other types."""

# nf_conntrack_icmp_packet() and nf_conntrack_icmpv6_packet() in net/netfilter/nf_conntrack_proto_icmp*.c
IMPOSSIBLE_KINDS = frozenset({(int(socket.AF_INET6), ICMP), (int(socket.AF_INET), ICMPV6)})
"""Family and protocol of entries that the kernel never makes for a packet."""

# linux/netfilter/nfnetlink_conntrack.h, enum ctattr_stats_cpu
CPU_STATS = {
    1: "searched",
    2: "found",
    3: "new",
    4: "invalid",
    5: "ignore",
    6: "delete",
    7: "delete_list",
    8: "insert",
    9: "insert_failed",
    10: "drop",
    11: "early_drop",
    12: "error",
    13: "search_restart",
    14: "clash_resolve",
    15: "chain_toolong",
}


def state_name(protocol: int, state: int | None) -> str | None:
    """Return the name of a protocol's state as conntrack(8) prints it, or None where there is none."""
    names = STATE_NAMES.get(protocol)
    if state is None or names is None:
        return None
    return names[state] if state < len(names) else names[0]

#!/usr/bin/python

# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_settings
short_description: Set limits, timeouts and switches of connection tracking, now and at boot
version_added: 0.1.0
author:
  - The netops.conntrack developers (@netops)
description:
  - Sets any number of connection-tracking sysctls in one call, in the running kernel and for the next boot.
  - Everything is checked before the first write. If a write fails nevertheless, the module restores what it wrote
    before, in the kernel and on the disk, and the error says so.
  - The next boot gets a drop-in of C(sysctl.d). Where C(nf_conntrack) is a module that is loaded late, a file of the
    same name in C(/etc/modules-load.d), or on OpenWrt in C(/etc/modules.d), has it loaded before the drop-in is
    applied, which is lost otherwise. If V(max) and V(buckets) are set, a file in C(/etc/modprobe.d) has the module
    loaded with that hash size.
  - The state from before the first run is kept next to the drop-in, in a file whose name ends in C(.before).
    O(state=absent) and O(exclusive=true) restore it. Files that nobody else has edited become what they were, to the
    byte. In a file that somebody edited, only the lines of the settings are replaced.
  - The module asks the kernel which settings it has and under which names, those of old kernels
    (C(net.ipv4.netfilter.ip_conntrack_*)) included.
extends_documentation_fragment:
  - netops.conntrack._attributes
  - netops.conntrack._netns
  - netops.conntrack._python
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  settings:
    description:
      - The wanted settings, as names and values. With O(state=absent), the values do not matter.
      - A name is the short one, such as V(max) or V(tcp_timeout_established), or any of V(nf_conntrack_max),
        V(net.netfilter.nf_conntrack_max), V(net/netfilter/nf_conntrack_max), V(ip_conntrack_max) and
        V(net.ipv4.netfilter.ip_conntrack_max). All of them mean the same setting, and it is written under the name
        that this kernel has. C(ansible_facts['conntrack'].settings) lists what a host has.
      - A timeout (a setting with C(timeout) in its name) is a number of seconds, or a number with one of the units
        C(s), C(m), C(h), C(d) and C(w), such as V(90s), V(15h) or V(5d). It is V(1) to V(2147483) seconds, about 24
        days. The kernel would take V(0), with which every entry expires at once.
      - A switch, such as V(acct), V(timestamp) or V(tcp_loose), is V(true), V(false), V(1) or V(0).
      - Every other setting is a whole number, also with one of the units C(K), C(M) and C(G), which are 1024, 1024 x
        1024 and so on, as in V(1M). V(max), V(buckets) and V(expect_max) are at least V(1), because V(max=0) means no
        limit, and V(max) is not below the number of entries that the table of this namespace has now.
      - V(max), V(buckets) and V(expect_max) are one value for the whole machine, and can only be set outside any
        network namespace. If the kernel has the wanted value already, nothing has to be written, and a setting that can
        only be read is no error.
      - A number may be a decimal fraction that is whole, such as V(54000.0), which arithmetic in templates gives.
    type: dict
    default: {}
  at_least:
    description:
      - Settings, in the form of O(settings). They are raised to the given value if they are lower, and never lowered.
        This holds at boot as well.
    type: dict
    version_added: 0.3.0
    default: {}
  state:
    description:
      - V(present) sets O(settings) and O(at_least).
      - V(absent) restores what was there before the first run, in the kernel and in the files, for the settings that
        O(settings) names. If it names none, it restores all that O(sysctl_file) has a record of. A name without a
        record restores nothing, and one that no kernel has is an error. The module C(nf_conntrack) stays loaded.
      - V(confirmed) keeps the change that waits for its confirmation, see O(confirm_within).
    type: str
    version_added: 0.3.0
    choices: [present, absent, confirmed]
    default: present
  persist:
    description:
      - Whether O(sysctl_file), and what belongs to it, keeps the settings for the next boot as well. With V(false), no
        file is touched.
      - Must be V(false) with O(netns), because drop-in files are applied to the machine and not to a namespace.
    type: bool
    default: true
  sysctl_file:
    description:
      - The drop-in file, in the format of C(sysctl.d(5)). Its name must end in C(.conf), and its directory must exist.
      - Only the lines of the given settings are replaced or added. All other lines stay.
      - Only root and the running user may write to its directory. A symbolic link in the path is followed only if
        nobody else can have put it there. The same holds for the directories of the other files.
    type: path
    default: /etc/sysctl.d/90-netops-conntrack.conf
  exclusive:
    description:
      - Whether O(settings) and O(at_least) name all that this module is to set with this O(sysctl_file). If an earlier
        run set something that this one does not name, it is restored to what it was before, in the same step as the
        rest.
      - With V(true), O(settings) may be empty. Then everything is restored.
      - A setting to restore that can only be read here, such as V(max) in a container, stays as it is, with a warning.
      - Needs O(persist=true), because the record of earlier runs is next to O(sysctl_file).
    type: bool
    version_added: 1.0.0
    default: false
  unsupported:
    description:
      - What to do with a setting that other kernels have and this one does not. V(fail) is an error, and nothing is
        changed. V(warn) leaves it out, warns, and lists it in RV(unsupported).
      - A name that no kernel has is an error with both.
    type: str
    choices: [fail, warn]
    version_added: 1.0.0
    default: fail
  runtime:
    description:
      - Whether to set the kernel that runs now. With V(false), only the files for the next boot are written, as in an
        image or a chroot. Then C(/proc) is not needed and C(nf_conntrack) is not loaded. Names and values are checked
        anyway.
      - With V(false), the module assumes that C(nf_conntrack) is a kernel module, whatever kernel runs here.
        O(load_module) has it loaded early at boot if no file does that yet.
      - With V(false) and O(state=absent), only the files are restored.
      - V(false) cannot be combined with O(persist=false), O(at_least) or O(confirm_within), and is refused while a
        change waits for its confirmation.
    type: bool
    version_added: 1.0.0
    default: true
  load_module:
    description:
      - Whether to load C(nf_conntrack) where the kernel does not have it yet, and with O(persist), to have it loaded
        early at each boot if it is a module.
    type: bool
    version_added: 0.3.0
    default: true
  confirm_within:
    description:
      - A duration, V(60s) for example, after which the router restores the old values by itself, unless the change is
        confirmed. V(0) means no confirmation. The longest is V(1h).
      - A process on the router waits for that. It starts before the first value is written. The files for the next boot
        are put in place when the change is confirmed, so a reboot restores the old values as well.
      - The task itself confirms, over a new connection to the router. If that fails, the task ends as unreachable, and
        the router restores the old values. If nothing changes in the kernel, nothing waits.
      - Not possible for a task with C(async).
      - You can confirm by hand with O(state=confirmed). The next run of the module first rolls back a change that still
        waits.
    type: str
    version_added: 0.3.0
    default: "0"
  change:
    description: For O(state=confirmed), the change to confirm, from RV(confirm.change). By default, the one that waits.
    type: str
    version_added: 0.3.0
  mode:
    description: The permissions of the files, as for M(ansible.builtin.file). By default, those that they have. New
      files get V(0644).
    type: raw
    version_added: 0.3.0
  owner:
    description: The owner of the files, by default the one that they have.
    type: str
    version_added: 0.3.0
  group:
    description: The group of the files, by default the one that they have.
    type: str
    version_added: 0.3.0
notes:
  - A lower timeout does not shorten what an entry has left. It acts on the entry's next packet, and on new entries.
    M(netops.conntrack.conntrack_update) with O(netops.conntrack.conntrack_update#module:timeout=settings) makes it act
    at once.
  - V(acct) and V(timestamp) act on new entries only.
  - With V(tcp_loose=0), open connections are not picked up again after a reboot or a fail-over of the router.
  - The kernel rounds V(buckets) up to whole pages of memory, mostly to a multiple of 512.
  - V(buckets) grow before V(max), and shrink after it, so that the table never outgrows them.
  - To undo a change, run the module with O(state=absent).
  - Each O(sysctl_file) has a record of its own. If tasks do not know of each other, give them different files.
seealso:
  - module: netops.conntrack.conntrack_update
  - module: ansible.posix.sysctl
  - name: Netfilter conntrack sysctl variables
    description: What each setting does, in the kernel's documentation.
    link: https://docs.kernel.org/networking/nf_conntrack-sysctl.html
"""

EXAMPLES = r"""
- name: Let idle connections go after 15 hours instead of 5 days
  netops.conntrack.conntrack_settings:
    settings:
      tcp_timeout_established: 15h
      generic_timeout: 2m
  become: true

- name: Show what would change, at run time and at boot, and change nothing
  netops.conntrack.conntrack_settings:
    settings:
      max: 1048576
      buckets: 262144
  become: true
  check_mode: true
  diff: true

- name: Set every setting of a busy NAT gateway in one call
  netops.conntrack.conntrack_settings:
    settings:
      max: 1048576
      buckets: 262144
      expect_max: 4096
      acct: true
      timestamp: true
      checksum: true
      log_invalid: 0
      events: 2
      generic_timeout: 2m
      icmp_timeout: 30s
      icmpv6_timeout: 30s
      udp_timeout: 30s
      udp_timeout_stream: 2m
      gre_timeout: 30s
      gre_timeout_stream: 3m
      tcp_loose: false
      tcp_be_liberal: false
      tcp_max_retrans: 3
      tcp_timeout_syn_sent: 1m
      tcp_timeout_syn_recv: 30s
      tcp_timeout_established: 15h
      tcp_timeout_fin_wait: 1m
      tcp_timeout_close_wait: 1m
      tcp_timeout_last_ack: 30s
      tcp_timeout_time_wait: 1m
  become: true

- name: Raise the limit if it is lower, and restore it if the router cannot be reached afterwards
  netops.conntrack.conntrack_settings:
    at_least:
      max: 1M
      buckets: 256K
    confirm_within: 60s
  become: true

- name: Go back to what was there before the first run
  netops.conntrack.conntrack_settings:
    state: absent
  become: true

- name: Set this, and restore everything else that earlier runs set
  netops.conntrack.conntrack_settings:
    settings:
      tcp_timeout_established: 15h
    exclusive: true
  become: true

- name: Set what this kernel has of a list for many kernels
  netops.conntrack.conntrack_settings:
    settings:
      tcp_timeout_established: 15h
      gre_timeout: 30s
    unsupported: warn
  become: true

# With ansible_connection: community.general.chroot, the host is the directory of an image.
- name: Write the files of an image, and leave the kernel of the build host alone
  netops.conntrack.conntrack_settings:
    settings:
      max: 1M
      buckets: 256K
      tcp_timeout_established: 15h
    runtime: false

- name: Turn on accounting in a network namespace, until it is deleted
  netops.conntrack.conntrack_settings:
    netns: customer1
    persist: false
    settings:
      acct: true
  become: true
"""

RETURN = r"""
no_conntrack:
  description: True if the module failed because the kernel tracks no connections. C(msg) says what to do.
  returned: failure, where connections are not tracked
  type: bool
  sample: true
settings:
  description: What became of each setting, by its short name.
  returned: success
  type: dict
  contains:
    name:
      description: The name that this kernel has for it.
      type: str
    wanted:
      description: The wanted value, a timeout in seconds. Of a setting that was restored, what the kernel had before.
      type: int
    runtime_before:
      description: The value in the kernel before. Null if it could not be read, or with O(runtime=false).
      type: int
    runtime_after:
      description:
        - The value in the kernel now, read back. In check mode, the value that the real run would reach. Null with
          O(runtime=false).
      type: int
    boot_before:
      description:
        - The value that the next boot would have set before, read from all the files that it reads. Null for the
          kernel's own default, or with O(persist=false).
      type: int
    boot:
      description: The value that the next boot sets now, or would set after the real run. Null as above.
      type: int
    boot_file:
      description: The file that RV(settings.boot) comes from. The module warns if it is not its own.
      type: str
    boot_line:
      description: The line of that file.
      type: int
    restored:
      description: Whether it was restored to what it was before, by O(exclusive) or O(state=absent).
      type: bool
      version_added: 1.0.0
  sample:
    tcp_timeout_established:
      name: net.netfilter.nf_conntrack_tcp_timeout_established
      wanted: 54000
      runtime_before: 432000
      runtime_after: 54000
      boot_before: null
      boot: 54000
      boot_file: /etc/sysctl.d/90-netops-conntrack.conf
      boot_line: 6
      restored: false
restored:
  description:
    - The settings that were restored, by their short names. One that this kernel does not have, or whose value from
      before is not known, was restored in the files only, and is not in RV(settings).
  returned: success
  type: list
  elements: str
  version_added: 1.0.0
  sample: []
confirm:
  description: The change that waits for its confirmation, or was confirmed. Null if there is none.
  returned: success
  type: dict
  contains:
    change:
      description: The change's name, for the option O(change).
      type: str
    within:
      description: The seconds that were given for it.
      type: int
    seconds_left:
      description: The seconds that were left.
      type: float
    confirmed:
      description: Whether it is confirmed.
      type: bool
  sample: {change: d28b01586ef1b5d6, within: 60, seconds_left: 59.2, confirmed: true}
unsupported:
  description: The settings that this kernel does not have. The module fails if there are any, see O(unsupported).
  returned: success, or when settings are refused
  type: list
  elements: str
  sample: []
read_only:
  description: The settings that would have to be written and cannot be. The module fails if there are any.
  returned: success, or when settings are refused
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netops.conntrack.plugins.module_utils._module import NETNS_OPTION, ConntrackModule, guarded_run
from ansible_collections.netops.conntrack.plugins.module_utils._settings.file_attributes import FileAttributes
from ansible_collections.netops.conntrack.plugins.module_utils._settings.run import Run


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Change or confirm the settings, and return the module's result."""
    return Run(module.params, module.check_mode, module._diff, FileAttributes(module), module.warn).result()


def main() -> None:
    module = ConntrackModule(
        argument_spec={
            "settings": {"type": "dict", "default": {}},
            "at_least": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent", "confirmed"], "default": "present"},
            "persist": {"type": "bool", "default": True},
            "sysctl_file": {"type": "path", "default": "/etc/sysctl.d/90-netops-conntrack.conf"},
            "load_module": {"type": "bool", "default": True},
            "exclusive": {"type": "bool", "default": False},
            "unsupported": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
            "runtime": {"type": "bool", "default": True},
            "confirm_within": {"type": "str", "default": "0"},
            "change": {"type": "str"},
            "mode": {"type": "raw"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            **NETNS_OPTION,
        },
        supports_check_mode=True,
    )
    guarded_run(module, run)


if __name__ == "__main__":
    main()

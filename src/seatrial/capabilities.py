"""The capabilities of the kernel, and what each gives a container."""

from __future__ import annotations

DOCKER_DEFAULT = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
"""What every container has that drops none. Source: Docker's documentation, "Runtime privilege"."""
HOST = frozenset({
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT",
    "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME",
    "SYS_TTY_CONFIG", "WAKE_ALARM",
})  # fmt: skip
"""What reaches the kernel, the devices, the clock or the processes of the host, or breaks limits that hold there.

Source: capabilities(7). DAC_READ_SEARCH opens files of the host by their handles (open_by_handle_at(2)).
"""
KNOWN = DOCKER_DEFAULT | HOST | {"IPC_LOCK", "IPC_OWNER", "LEASE", "NET_BROADCAST"}
"""All of Linux 6, and `ALL`."""


def plain_name(capability: str) -> str:
    """Return a capability's name in capital letters and without `CAP_`."""
    return capability.strip().upper().removeprefix("CAP_")

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
NUMBERED = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
"""By their numbers, from 0. Source: linux/capability.h."""
KNOWN = DOCKER_DEFAULT | HOST | {"IPC_LOCK", "IPC_OWNER", "LEASE", "NET_BROADCAST"}
"""All of Linux 6, and `ALL`."""


def of_file(attribute: bytes) -> tuple[str, ...]:
    """Return the capabilities that a file gives whoever runs it, by its attribute `security.capability`.

    Those that it lets a process keep are left out: no process in a container has any to keep. Source:
    capabilities(7), linux/capability.h (struct vfs_cap_data).
    """
    # The revision, the permitted and the inheritable set, and from revision 2 on the upper halves of both.
    permitted = int.from_bytes(attribute[4:8], "little") | int.from_bytes(attribute[12:16], "little") << 32
    return tuple(name for number, name in enumerate(NUMBERED.split()) if permitted >> number & 1)


def plain_name(capability: str) -> str:
    """Return a capability's name in capital letters and without `CAP_`."""
    return capability.strip().upper().removeprefix("CAP_")

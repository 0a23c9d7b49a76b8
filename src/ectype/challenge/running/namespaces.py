"""A system of its own for a tree of processes, by Linux namespaces, without any privilege.

What `bubblewrap` does, by the same system calls: user_namespaces(7), mount_namespaces(7), pivot_root(2),
mount_setattr(2). The launcher alone uses this module, so it needs the standard library alone; Python 3.11 has none of
these calls. Each function raises `OSError`, whose file name tells the step that the kernel refused.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _NOEXEC, _READ_ONLY, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 8, 1, 0x1000, 0x4000, 0x40000
_SET_ATTRIBUTES = 442  # the number of mount_setattr(2) on every architecture
_ATTRIBUTE_READ_ONLY, _ATTRIBUTE_NOSUID, _ATTRIBUTE_NODEV = 1, 2, 4
_HERE, _WHOLE_TREE, _DETACH = -100, 0x8000, 2
_PARENT_DEATH_SIGNAL, _DROP_CAPABILITY, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 24, 36, 38
_SET_INTERFACE_FLAGS, _INTERFACE_UP = 0x8914, 1

SYSTEM_FOLDERS = ("/bin", "/etc", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/sbin", "/sys", "/usr")
"""What programs need of the machine, to be read alone."""

_DEVICES = ("null", "zero", "full", "random", "urandom")
_ACCELERATORS = ("nvidia*", "dri", "kfd")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the machine, and where the tree of processes sees it."""

    source: str
    target: str
    writable: bool = False


def enter() -> None:
    """Move this process to namespaces of its own: no network, other mounts, and children with other process ids."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW_USER | _NEW_MOUNTS | _NEW_PIDS | _NEW_NETWORK | _NEW_IPC)
    for file, content in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", file).write_text(content)


def build_root(root: str, mounts: list[Mount], shared_memory: int) -> None:
    """Give this process, which is the first of its namespaces, a file system of its own.

    It holds the folders of the system and the given ones, both to be read alone; the few that are writable; the devices
    that hold nothing and the accelerators; /proc with this tree's processes alone; and shared memory of its own.

    Parameters
    ----------
    root : str
        An empty folder to build it in.
    mounts : list of Mount
    shared_memory : int
        Most bytes of files in /dev/shm.
    """
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "mode=755,size=16m")
    for folder in SYSTEM_FOLDERS:
        if os.path.islink(folder):
            os.symlink(os.readlink(folder), root + folder)
        elif os.path.isdir(folder):
            _show(Mount(folder, folder), root)
    _make_devices(f"{root}/dev", shared_memory)
    os.mkdir(f"{root}/proc")
    _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC | _READ_ONLY)
    for mount in mounts:
        _show(mount, root)
    _protect(root, _ATTRIBUTE_READ_ONLY, whole_tree=False)
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _show(mount: Mount, root: str) -> None:
    target = root + mount.target
    os.makedirs(target, exist_ok=True)
    _mount(mount.source, target, None, _BIND | _RECURSIVE)
    read_only = 0 if mount.writable else _ATTRIBUTE_READ_ONLY
    _protect(target, _ATTRIBUTE_NOSUID | _ATTRIBUTE_NODEV | read_only, whole_tree=True)


def _make_devices(folder: str, shared_memory: int) -> None:
    os.mkdir(folder)
    accelerators = [path for pattern in _ACCELERATORS for path in Path("/dev").glob(pattern)]
    for device in (*(Path("/dev", name) for name in _DEVICES), *accelerators):
        target = Path(folder, device.name)
        if device.is_dir():
            target.mkdir()
        else:
            target.touch()
        _mount(str(device), str(target), None, _BIND | _RECURSIVE)
    for name, goal in _LINKS.items():
        os.symlink(goal, f"{folder}/{name}")
    os.mkdir(f"{folder}/shm")
    _mount("tmpfs", f"{folder}/shm", "tmpfs", _NOSUID | _NODEV, f"mode=1777,size={shared_memory}")


def start_loopback() -> None:
    """Have 127.0.0.1 work between the processes of this network namespace: some libraries need it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sh", b"lo", _INTERFACE_UP))


def drop_privileges() -> None:
    """Have the program that is executed next hold none of the rights over these namespaces."""
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _control(_DROP_CAPABILITY, capability)
    _control(_NO_NEW_PRIVILEGES, 1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, as process 1 of a namespace is by itself."""
    _control(_SUBREAPER, 1)


def signal_on_death_of_parent(number: int) -> None:
    """Have this process receive a signal when its parent dies."""
    _control(_PARENT_DEATH_SIGNAL, number)


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace"))


def _protect(path: str, attributes: int, *, whole_tree: bool) -> None:
    wanted = _Attributes(set=attributes)
    flags = _WHOLE_TREE if whole_tree else 0
    number, size = ctypes.c_long(_SET_ATTRIBUTES), ctypes.c_size_t(ctypes.sizeof(wanted))
    _call("syscall", number, _HERE, os.fsencode(path), flags, ctypes.byref(wanted), size, what=f"mount_setattr {path}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    _call("mount", *texts, ctypes.c_ulong(flags), data, what=f"mount {target}")


def _control(option: int, value: int) -> None:
    rest = (ctypes.c_ulong(0),) * 3
    _call("prctl", option, ctypes.c_ulong(value), *rest, what=f"prctl {option}")


def _call(name: str, *arguments: object, what: str = "") -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what or name)

"""What a decoder that was taken over may try: each attempt is Python that must fail.

Standard library and libseccomp only: `tests/scan/test_sandbox.py` runs it on this machine,
`tests/vm/takeover.py` in the installed unit. Names that it uses: `parent` (a process), `clip` (a
read-only descriptor), `victim` (the path of a file that the user may write to), `port` (where a TCP
server listens).
"""

SUCCESS = b"done"

SETUP = """
import ctypes, mmap, os, resource, signal, socket, sys, threading
page = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.shmat.restype = ctypes.c_void_p
def check(answer):
    if answer in (-1, 2**64 - 1): raise OSError(ctypes.get_errno(), "refused")
# By name: numbers differ by machine, and one that names nothing would be refused by any kernel.
resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name
calls = "keyctl", "bpf", "io_uring_setup", "userfaultfd", "perf_event_open"
number = {name: resolve(name.encode()) for name in calls}
assert min(number.values()) >= 0, number
heap = next(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "[heap]" in line)
"""

ATTEMPTS = {
    "read a file": "open('/etc/passwd').read()",
    "list a folder": "os.listdir('/tmp')",
    "learn of a file": "os.stat(victim)",
    "create a file": "os.open(victim + '.new', os.O_CREAT | os.O_WRONLY)",
    "write a file": "os.open(victim, os.O_WRONLY)",
    "change a file by mmap": "mmap.mmap(os.open(victim, os.O_RDWR), 0)[:1] = b'X'",
    "change the clip by mmap": "mmap.mmap(clip, 1)[:1] = b'X'",
    "truncate a file": "os.truncate(victim, 0)",
    "delete a file": "os.unlink(victim)",
    "rename a file": "os.rename(victim, victim + '.moved')",
    "change a file's mode": "os.chmod(victim, 0o777)",
    "link to a file": "os.symlink(victim, victim + '.link')",
    "open the clip for writing": "os.open(f'/proc/self/fd/{clip}', os.O_RDWR)",
    "write into the clip": "os.pwrite(clip, b'X', 0)",
    "write to another descriptor": "os.write(clip, b'X')",
    "read the parent's environment": "open(f'/proc/{parent}/environ', 'rb').read()",
    "read the parent's memory": "open(f'/proc/{parent}/mem', 'rb')",
    "read it by process_vm_readv": "check(libc.process_vm_readv(parent, None, 0, None, 0, 0))",
    "write it by process_vm_writev": "check(libc.process_vm_writev(parent, None, 0, None, 0, 0))",
    "ptrace the parent": "check(libc.ptrace(0x4206, parent, 0, 0))",
    "signal the parent": "os.kill(parent, 0)",
    "TCP": "socket.create_connection(('127.0.0.1', port), 2)",
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "a UNIX socket": "socket.socket(socket.AF_UNIX)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a pair of sockets": "socket.socketpair()",
    "fork": "os.fork() or os._exit(0)",
    "vfork": "check(libc.vfork())",
    "exec": "os.execv('/bin/true', ['true'])",
    "a shell": "os.system('true') == 0 or os._exit(1)",
    "setsid": "os.setsid()",
    "executable memory": "check(libc.mmap(None, page, 7, 0x22, -1, 0))",
    "memory made executable": "check(libc.mprotect(ctypes.c_void_p(heap), page, 5))",
    "System V memory": "check(libc.shmget(0, 4096, 0o1600))",
    "a memory file": "os.memfd_create('x')",
    "more rights by a namespace": "check(libc.unshare(0x10000000))",
    "raise the limit of processor time": "resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    "raise the limit of memory": "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "keys": "check(libc.syscall(number['keyctl'], 0, 0, 0, 0, 0))",
    "bpf": "check(libc.syscall(number['bpf'], 0, 0, 0))",
    "io_uring": "check(libc.syscall(number['io_uring_setup'], 1, 0))",
    "userfaultfd": "check(libc.syscall(number['userfaultfd'], 0))",
    "perf": "check(libc.syscall(number['perf_event_open'], 0, 0, -1, -1, 0))",
}

# SPDX-License-Identifier: Apache-2.0
"""A process that is killed (SIGSYS) when it starts another program or another process."""
import ctypes
import os
import platform
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOW, KILL, NO_SUCH_CALL = 0x7fff0000, 0x80000000, 0x00050000 | 38
CLONE_THREAD = 0x10000
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, FIRST_LOW, FIRST_HIGH = 0, 16, 20  # offsets in struct seccomp_data
CALLS = {"x86_64": {"execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "clone": 56},
         "aarch64": {"execve": 221, "execveat": 281, "clone": 220}}[platform.machine()]
CLONE3 = 435  # its flags are in memory; libc then takes clone


def rules(path_address):
    """execve of this very address is ours, which the new program does not have; threads are fine."""
    forbidden = [number for name, number in CALLS.items() if name not in ("execve", "clone")]
    lines = [(LOAD, 0, 0, NUMBER)]
    for number in forbidden:
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, KILL)]
    lines += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, NO_SUCH_CALL),
              (EQUAL, 0, 4, CALLS["clone"]), (LOAD, 0, 0, FIRST_LOW),
              (ANY_BIT, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, KILL),
              (EQUAL, 1, 0, CALLS["execve"]), (RETURN, 0, 0, ALLOW),
              (LOAD, 0, 0, FIRST_LOW), (EQUAL, 1, 0, path_address & 0xffffffff), (RETURN, 0, 0, KILL),
              (LOAD, 0, 0, FIRST_HIGH), (EQUAL, 1, 0, path_address >> 32), (RETURN, 0, 0, KILL),
              (RETURN, 0, 0, ALLOW)]
    return lines


def strings(values):
    array = (ctypes.c_char_p * (len(values) + 1))()
    for index, value in enumerate(values):
        array[index] = os.fsencode(value)
    return array


def sealed(arguments, env):
    """For preexec_fn: becomes the program at once, and nothing else afterwards."""
    path = ctypes.create_string_buffer(os.fsencode(arguments[0]))
    argv, envp = strings(arguments), strings([f"{key}={value}" for key, value in env.items()])
    lines = rules(ctypes.addressof(path))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))

    def become():
        header = struct.pack("HP", len(lines), ctypes.addressof(program))
        if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0:
            LIBC.execve(path, argv, envp)
        os._exit(126)
    return become

"""The jail's walls on Linux, by system calls only: Landlock, seccomp, namespaces, a separate user.

Both sides use it: the guest confines itself before any candidate is loaded (`enter`), and the supervisor
decides the system calls that the seccomp filter sends to it (`notify`). Standard library only; x86-64 and
arm64."""

/*
 * A disk that fails: loaded by LD_PRELOAD, every FAIL_EVERY-th write or flush of a file whose path
 * contains FAIL_IN ends with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int file)
{
    static unsigned count;
    const char *every = getenv("FAIL_EVERY"), *where = getenv("FAIL_IN");
    char link[64], path[PATH_MAX] = "";

    if (!every || !where)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) <= 0 || !strstr(path, where))
        return 0;
    if (__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) % (unsigned)atoi(every))
        return 0;
    errno = EIO;
    return 1;
}

#define REAL(name, type) \
    __typeof__(type) real = (__typeof__(type))dlsym(RTLD_NEXT, name)

ssize_t write(int file, const void *bytes, size_t number)
{
    REAL("write", ssize_t (*)(int, const void *, size_t));
    return fails(file) ? -1 : real(file, bytes, number);
}

ssize_t pwrite64(int file, const void *bytes, size_t number, off64_t place)
{
    REAL("pwrite64", ssize_t (*)(int, const void *, size_t, off64_t));
    return fails(file) ? -1 : real(file, bytes, number, place);
}

ssize_t pwrite(int file, const void *bytes, size_t number, off_t place)
{
    REAL("pwrite", ssize_t (*)(int, const void *, size_t, off_t));
    return fails(file) ? -1 : real(file, bytes, number, place);
}

int fsync(int file)
{
    REAL("fsync", int (*)(int));
    return fails(file) ? -1 : real(file);
}

int fdatasync(int file)
{
    REAL("fdatasync", int (*)(int));
    return fails(file) ? -1 : real(file);
}

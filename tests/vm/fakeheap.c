/*
 * A dma-heap where the kernel has none, for libcamera's virtual camera: loaded by LD_PRELOAD.
 *
 * Opening something in /dev/dma_heap gives an empty memfd, and asking that for memory
 * gives a memfd of the wanted size. All other requests to dma-bufs succeed and do nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int (*open_fn)(const char *, int, ...);
typedef int (*ioctl_fn)(int, unsigned long, ...);

static int opened(const char *name, const char *path, int flags, mode_t mode)
{
	static const char heaps[] = "/dev/dma_heap/";

	if (strncmp(path, heaps, sizeof(heaps) - 1) == 0)
		return memfd_create("heap", MFD_CLOEXEC);
	return ((open_fn)dlsym(RTLD_NEXT, name))(path, flags, mode);
}

static mode_t mode_of(int flags, va_list rest)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list rest;                                                                      \
		va_start(rest, flags);                                                             \
		mode_t mode = mode_of(flags, rest);                                                \
		va_end(rest);                                                                      \
		return opened(#name, path, flags, mode);                                           \
	}

OPEN(open)
OPEN(open64)

static int allocate(struct dma_heap_allocation_data *wanted)
{
	int memory = memfd_create("dma-buf", MFD_CLOEXEC);

	if (memory < 0)
		return -1;
	if (ftruncate(memory, (off_t)wanted->len) < 0) {
		close(memory);
		return -1;
	}
	wanted->fd = (unsigned int)memory;
	return 0;
}

int ioctl(int file, unsigned long request, ...)
{
	va_list rest;

	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	switch (request) {
	case DMA_HEAP_IOCTL_ALLOC:
		return allocate(argument);
	case DMA_BUF_IOCTL_SYNC:
	case DMA_BUF_SET_NAME_A:
	case DMA_BUF_SET_NAME_B:
		return 0;
	}
	return ((ioctl_fn)dlsym(RTLD_NEXT, "ioctl"))(file, request, argument);
}

/* Loaded before a node's C library: moves its wall clock and slows its syncs, as a file says
 * that is shared with whoever tests. Monotonic clocks are left alone, as a step of the wall
 * clock leaves them alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t clock_offset_ns;
    volatile int64_t sync_pause_us;
};

static const struct control none;
static const struct control *control = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CRONAPI_TEST_CONTROL");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED)
        control = shared;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    int64_t offset = control->clock_offset_ns;
    if (result == 0 && offset != 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t whole = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + offset;
        time->tv_sec = whole / 1000000000;
        time->tv_nsec = whole % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict value, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    value->tv_sec = now.tv_sec;
    value->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

static void pause_sync(void) {
    int64_t pause = control->sync_pause_us;
    if (pause > 0)
        usleep((useconds_t)pause);
}

int fsync(int file) {
    pause_sync();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    pause_sync();
    return (int)syscall(SYS_fdatasync, file);
}

int sync_file_range(int file, off64_t from, off64_t count, unsigned int flags) {
    pause_sync();
    return (int)syscall(SYS_sync_file_range, file, from, count, flags);
}

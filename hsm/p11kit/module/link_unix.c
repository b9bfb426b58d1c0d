/* The link where the module is tried without Windows: the socket that TRUSTLINK_PKCS11 names. Programs on Linux have
 * p11-kit's own module, and don't get this one. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "link.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int line = -1;

uint64_t link_now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int link_lock(uint64_t until) {
	struct timespec t = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};
	return pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &t) == 0 ? 0 : -1;
}

void link_unlock(void) { pthread_mutex_unlock(&lock); }

int link_open(uint64_t until) {
	const char *path = getenv("TRUSTLINK_PKCS11");
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)until;
	if (path == NULL || strlen(path) >= sizeof a.sun_path)
		return -1;
	memcpy(a.sun_path, path, strlen(path));
	if ((line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -1;
	if (connect(line, (struct sockaddr *)&a, sizeof a) != 0) {
		link_close();
		return -1;
	}
	return 0;
}

/* ready waits until the line takes or has octets. */
static int ready(short event, uint64_t until) {
	uint64_t now = link_now();
	struct pollfd p = {.fd = line, .events = event};
	return poll(&p, 1, until > now ? (int)(until - now) : 0) > 0 ? 0 : -1;
}

int link_write(const void *data, size_t n, uint64_t until) {
	const unsigned char *at = data;

	while (n > 0) {
		ssize_t some = ready(POLLOUT, until) == 0 ? send(line, at, n, MSG_NOSIGNAL) : -1;
		if (some <= 0)
			return -1;
		at += some;
		n -= (size_t)some;
	}
	return 0;
}

int link_read(void *data, size_t n, uint64_t until) {
	unsigned char *at = data;

	while (n > 0) {
		ssize_t some = ready(POLLIN, until) == 0 ? recv(line, at, n, 0) : -1;
		if (some <= 0)
			return -1;
		at += some;
		n -= (size_t)some;
	}
	return 0;
}

void link_close(void) {
	if (line >= 0)
		close(line);
	line = -1;
}

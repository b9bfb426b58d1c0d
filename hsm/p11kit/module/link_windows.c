/* The link on Windows: a named pipe, which trustlink pkcs11 opens for one account and which only that account may
 * connect to. Its name has the account's SID, so that a program need not be told it. */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#include <aclapi.h>
#include <sddl.h>
#include <wchar.h>

#include "link.h"

/* What an account may do with its pipe, as trustlink grants it. FILE_APPEND_DATA would let it make instances of the
 * pipe, and is not among it. */
#define PIPE_RIGHTS (FILE_READ_DATA | FILE_WRITE_DATA | FILE_READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE)

/* A pipe whose instances are all taken for a moment is tried again so often. */
#define BUSY_PAUSE 20

static HANDLE lock;
static HANDLE line = INVALID_HANDLE_VALUE;
static HANDLE done; /* the event of the one transfer at a time */

uint64_t link_now(void) { return GetTickCount64(); }

static DWORD left(uint64_t until) {
	uint64_t now = link_now();
	return until > now ? (DWORD)(until - now) : 0;
}

/* the_lock makes it at the first call, whoever comes first. */
static HANDLE the_lock(void) {
	if (lock == NULL) {
		HANDLE made = CreateMutexW(NULL, FALSE, NULL);
		if (made != NULL && InterlockedCompareExchangePointer(&lock, made, NULL) != NULL)
			CloseHandle(made);
	}
	return lock;
}

int link_lock(uint64_t until) {
	HANDLE l = the_lock();
	switch (l == NULL ? WAIT_FAILED : WaitForSingleObject(l, left(until))) {
	case WAIT_OBJECT_0: return 0;
	case WAIT_ABANDONED: return 1;
	default: return -1;
	}
}

void link_unlock(void) { ReleaseMutex(lock); }

/* account is the one under which the process runs. */
static int account(TOKEN_USER *user, DWORD size) {
	HANDLE token;
	BOOL ok;

	if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		return -1;
	ok = GetTokenInformation(token, TokenUser, user, size, &size);
	CloseHandle(token);
	return ok ? 0 : -1;
}

/* trusted tells whether the pipe is the account's own, or that of a service of Windows (LocalSystem): one of that name
 * which another account was quicker to make is not spoken to. */
static int trusted(PSID user) {
	PSECURITY_DESCRIPTOR found = NULL;
	PSID owner = NULL;
	int is;

	if (GetSecurityInfo(line, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL, NULL, &found) != ERROR_SUCCESS)
		return 0;
	is = owner != NULL && (EqualSid(owner, user) || IsWellKnownSid(owner, WinLocalSystemSid));
	LocalFree(found);
	return is;
}

int link_open(uint64_t until) {
	union {
		TOKEN_USER user;
		char room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} who;
	wchar_t name[256], *sid = NULL;
	int n;

	if (done == NULL && (done = CreateEventW(NULL, TRUE, FALSE, NULL)) == NULL)
		return -1;
	if (account(&who.user, sizeof who) != 0 || !ConvertSidToStringSidW(who.user.User.Sid, &sid))
		return -1;
	n = _snwprintf(name, sizeof name / sizeof *name - 1, L"\\\\.\\pipe\\trustlink-pkcs11-%ls", sid);
	LocalFree(sid);
	if (n < 0)
		return -1;
	name[sizeof name / sizeof *name - 1] = 0;
	for (;;) { /* who serves it learns who we are, and can't act as us */
		line = CreateFileW(name, PIPE_RIGHTS, 0, NULL, OPEN_EXISTING,
				   FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
		if (line != INVALID_HANDLE_VALUE)
			break;
		if (GetLastError() != ERROR_PIPE_BUSY || left(until) == 0)
			return -1;
		Sleep(BUSY_PAUSE);
	}
	if (!trusted(who.user.User.Sid)) {
		link_close();
		return -1;
	}
	return 0;
}

/* transferred waits for a transfer that was begun, and calls it off when its time is over. */
static int transferred(BOOL ok, OVERLAPPED *o, uint64_t until, DWORD *n) {
	if (!ok && GetLastError() != ERROR_IO_PENDING)
		return -1;
	if (WaitForSingleObject(o->hEvent, left(until)) != WAIT_OBJECT_0) {
		CancelIoEx(line, o);
		GetOverlappedResult(line, o, n, TRUE); /* the buffer is the caller's again */
		return -1;
	}
	return GetOverlappedResult(line, o, n, FALSE) && *n > 0 ? 0 : -1;
}

int link_write(const void *data, size_t n, uint64_t until) {
	const unsigned char *at = data;

	while (n > 0) {
		OVERLAPPED o = {.hEvent = done};
		DWORD some = 0;
		BOOL ok = WriteFile(line, at, (DWORD)n, NULL, &o);
		if (transferred(ok, &o, until, &some) != 0)
			return -1;
		at += some;
		n -= some;
	}
	return 0;
}

int link_read(void *data, size_t n, uint64_t until) {
	unsigned char *at = data;

	while (n > 0) {
		OVERLAPPED o = {.hEvent = done};
		DWORD some = 0;
		BOOL ok = ReadFile(line, at, (DWORD)n, NULL, &o);
		if (transferred(ok, &o, until, &some) != 0)
			return -1;
		at += some;
		n -= some;
	}
	return 0;
}

void link_close(void) {
	if (line != INVALID_HANDLE_VALUE)
		CloseHandle(line);
	line = INVALID_HANDLE_VALUE;
}

/* A program that unloads the module gets its handles back; one that ends needs nothing of us. */
BOOL WINAPI DllMain(HINSTANCE module, DWORD why, LPVOID ends) {
	(void)module;
	if (why == DLL_PROCESS_DETACH && ends == NULL) {
		link_close();
		if (done != NULL)
			CloseHandle(done);
		if (lock != NULL)
			CloseHandle(lock);
	}
	return TRUE;
}

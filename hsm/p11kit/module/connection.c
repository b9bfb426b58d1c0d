/* The connection of the program to trustlink, and the sessions on it. */
#include "connection.h"

#include <stdlib.h>
#include <string.h>

#include "link.h"

/* Times are in milliseconds. trustlink waits up to a minute for the data centre. */
#ifndef CALL_TIME
#define CALL_TIME 75000
#endif
#ifndef OPEN_TIME
#define OPEN_TIME 5000
#endif

#define MAX_SESSIONS 256	/* as trustlink has it too (maxSessions) */

/* Object handles of the program carry the connection on which they were found: those of one that broke are no handles
 * of the next one. */
#define HANDLE_BITS 20
#define MAX_HANDLE ((1u << HANDLE_BITS) - 1)
#define MAX_GENERATION ((1u << (32 - HANDLE_BITS)) - 1)

static const char greeting[] = "PRIVATE-GNOME-KEYRING-PKCS11-PROTOCOL-V-1";

/* All of it is guarded by the link's lock. */
static struct {
	int initialized;
	int connected;
	uint32_t generation; /* of the connection */
	uint32_t calls;	     /* number of the last one */
	CK_ULONG sessions;   /* handle of the last one */
	struct session session[MAX_SESSIONS];
} the;

static void disconnect(void) {
	link_close();
	the.connected = 0;
}

/* exchange sends a call and reads its answer into it. What is no answer ends the connection: nobody knows what would
 * come next. */
CK_RV exchange(struct message *m, uint32_t number, const char *values, uint64_t until) {
	unsigned char head[HEAD], skipped[256];
	uint32_t options = 0, length = (uint32_t)(m->end - HEAD), call = ++the.calls;
	int64_t body = -1;

	if (m->bad) { /* longer than a call may be: it was not sent, and the connection is as good as before */
		message_free(m);
		return CKR_ARGUMENTS_BAD;
	}
	for (int i = 0; i < 4; i++) {
		m->data[i] = (unsigned char)(call >> (24 - 8 * i));
		m->data[8 + i] = (unsigned char)(length >> (24 - 8 * i));
	}
	if (link_write(m->data, m->end, until) == 0 && link_read(head, HEAD, until) == 0)
		body = answer_size(head, call, &options);
	while (body >= 0 && options > 0) {
		uint32_t n = options < sizeof skipped ? options : (uint32_t)sizeof skipped;
		if (link_read(skipped, n, until) != 0)
			body = -1;
		options -= n;
	}
	message_free(m);
	if (body < 0 || (m->data = malloc((size_t)body + 1)) == NULL || link_read(m->data, (size_t)body, until) != 0) {
		disconnect();
		return CKR_DEVICE_ERROR;
	}
	m->size = (size_t)body + 1;
	m->end = (size_t)body;
	CK_RV rv = answer_begin(m, number, values);
	if (m->bad)
		disconnect();
	return rv;
}

/* finished ends a call whose values were read. */
CK_RV finished(struct message *m, CK_RV rv) {
	if (rv == CKR_OK)
		get_end(m);
	if (m->bad && the.connected) {
		disconnect();
		rv = CKR_DEVICE_ERROR;
	}
	message_free(m);
	return rv;
}

/* connect_now greets trustlink, unless that was done. */
CK_RV connect_now(void) {
	uint64_t until = link_now() + OPEN_TIME;
	unsigned char version = 0;
	struct message m;

	if (the.connected)
		return CKR_OK;
	if (the.generation == MAX_GENERATION || link_open(until) != 0)
		return CKR_TOKEN_NOT_PRESENT;
	the.connected = 1;
	the.generation++;
	if (link_write(&version, 1, until) != 0 || link_read(&version, 1, until) != 0 || version != 0) {
		disconnect();
		return CKR_TOKEN_NOT_PRESENT;
	}
	call_begin(&m, INITIALIZE, "ayyay");
	put_buffer(&m, greeting, sizeof greeting - 1);
	put_octet(&m, 0);
	put_buffer(&m, NULL, 0);
	if (finished(&m, exchange(&m, INITIALIZE, "", until)) == CKR_OK)
		return CKR_OK;
	disconnect();
	return CKR_TOKEN_NOT_PRESENT;
}

/* enter takes the lock for a call of an initialised module. */
CK_RV enter(uint64_t until) {
	int got = link_lock(until);

	if (got < 0)
		return CKR_DEVICE_ERROR;
	if (got > 0 && the.connected)
		disconnect(); /* in the middle of somebody's call */
	if (the.initialized)
		return CKR_OK;
	link_unlock();
	return CKR_CRYPTOKI_NOT_INITIALIZED;
}

CK_RV leave(CK_RV rv) {
	link_unlock();
	return rv;
}

static struct session *session_of(CK_SESSION_HANDLE handle) {
	for (int i = 0; handle != 0 && i < MAX_SESSIONS; i++)
		if (the.session[i].handle == handle)
			return &the.session[i];
	return NULL;
}

/* enter_session is enter for a call within a session that still is one for trustlink. */
CK_RV enter_session(CK_SESSION_HANDLE handle, struct session **s, uint64_t until) {
	CK_RV rv = enter(until);

	if (rv != CKR_OK)
		return rv;
	*s = session_of(handle);
	if (*s == NULL || !the.connected || (*s)->generation != the.generation)
		return leave(CKR_SESSION_HANDLE_INVALID);
	return CKR_OK;
}

/* far_object is trustlink's handle of an object, 0 for one that is not of this connection. */
CK_ULONG far_object(CK_OBJECT_HANDLE handle) {
	uint64_t wide = handle;

	if (wide >> HANDLE_BITS != the.generation)
		return 0;
	return handle & MAX_HANDLE;
}

CK_OBJECT_HANDLE near_object(CK_ULONG far) {
	return far == 0 || far > MAX_HANDLE ? 0 : far | (CK_OBJECT_HANDLE)the.generation << HANDLE_BITS;
}

uint64_t deadline(void) { return link_now() + CALL_TIME; }

/* within_session is a call that has the session's handle alone, and no values in its answer. */
CK_RV within_session(CK_SESSION_HANDLE handle, uint32_t number) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;
	CK_RV rv = enter_session(handle, &s, until);

	if (rv != CKR_OK)
		return rv;
	call_begin(&m, number, "u");
	put_ulong(&m, s->far);
	return leave(finished(&m, exchange(&m, number, "", until)));
}

CK_RV initialize(void *args) {
	const CK_C_INITIALIZE_ARGS *a = args;

	if (a != NULL) {
		int some = a->CreateMutex != NULL || a->DestroyMutex != NULL || a->LockMutex != NULL || a->UnlockMutex != NULL;
		int all = a->CreateMutex != NULL && a->DestroyMutex != NULL && a->LockMutex != NULL && a->UnlockMutex != NULL;
		if (a->pReserved != NULL || some != all)
			return CKR_ARGUMENTS_BAD;
		if (all && !(a->flags & CKF_OS_LOCKING_OK))
			return CKR_CANT_LOCK;
	}
	if (link_lock(deadline()) < 0)
		return CKR_CANT_LOCK;
	if (the.initialized)
		return leave(CKR_CRYPTOKI_ALREADY_INITIALIZED);
	the.initialized = 1;
	return leave(CKR_OK);
}

CK_RV finalize(void *reserved) {
	if (reserved != NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter(deadline());
	if (rv != CKR_OK)
		return rv;
	disconnect();
	memset(the.session, 0, sizeof the.session);
	the.initialized = 0;
	return leave(CKR_OK);
}

/* enter_slot is enter for a call about the token. */
CK_RV enter_slot(CK_SLOT_ID slot, uint64_t until) {
	CK_RV rv = enter(until);

	if (rv == CKR_OK && slot != SLOT)
		return leave(CKR_SLOT_ID_INVALID);
	if (rv == CKR_OK && (rv = connect_now()) != CKR_OK)
		return leave(rv);
	return rv;
}

/* keep remembers a session of trustlink's by a handle that the program had for no other; 0 when there is no place. */
static CK_SESSION_HANDLE keep(CK_ULONG far) {
	for (int i = 0; i < MAX_SESSIONS; i++) {
		struct session *s = &the.session[i];
		if (s->handle != 0 && s->generation == the.generation)
			continue;
		do
			the.sessions = (the.sessions + 1) & UINT32_MAX;
		while (the.sessions == 0 || session_of(the.sessions) != NULL);
		*s = (struct session){the.sessions, far, the.generation};
		return s->handle;
	}
	return 0;
}

CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *session) {
	uint64_t until = deadline();
	struct message m;

	(void)app, (void)notify; /* nobody is told of anything */
	if (session == NULL)
		return CKR_ARGUMENTS_BAD;
	if (!(flags & CKF_SERIAL_SESSION))
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	CK_RV rv = enter_slot(slot, until);
	if (rv != CKR_OK)
		return rv;
	call_begin(&m, OPEN_SESSION, "uu");
	put_ulong(&m, SLOT);
	put_ulong(&m, flags);
	if ((rv = exchange(&m, OPEN_SESSION, "u", until)) == CKR_OK) {
		CK_ULONG far = get_ulong(&m);
		get_end(&m);
		if (!m.bad && (*session = keep(far)) == 0)
			rv = CKR_SESSION_COUNT;
	}
	return leave(finished(&m, rv));
}

CK_RV close_session(CK_SESSION_HANDLE handle) {
	uint64_t until = deadline();
	struct message m;
	CK_RV rv = enter(until);

	if (rv != CKR_OK)
		return rv;
	struct session *s = session_of(handle);
	if (s == NULL)
		return leave(CKR_SESSION_HANDLE_INVALID);
	struct session was = *s;
	s->handle = 0;
	if (!the.connected || was.generation != the.generation)
		return leave(CKR_OK); /* it ended with its connection */
	call_begin(&m, CLOSE_SESSION, "u");
	put_ulong(&m, was.far);
	return leave(finished(&m, exchange(&m, CLOSE_SESSION, "", until)));
}

CK_RV close_all_sessions(CK_SLOT_ID slot) {
	uint64_t until = deadline();
	struct message m;
	CK_RV rv = enter(until);

	if (rv != CKR_OK)
		return rv;
	if (slot != SLOT)
		return leave(CKR_SLOT_ID_INVALID);
	memset(the.session, 0, sizeof the.session);
	if (!the.connected)
		return leave(CKR_OK); /* they ended with their connection */
	call_begin(&m, CLOSE_ALL_SESSIONS, "u");
	put_ulong(&m, SLOT);
	return leave(finished(&m, exchange(&m, CLOSE_ALL_SESSIONS, "", until)));
}

CK_RV get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	call_begin(&m, GET_SESSION_INFO, "u");
	put_ulong(&m, s->far);
	if ((rv = exchange(&m, GET_SESSION_INFO, "uuuu", until)) == CKR_OK) {
		info->slotID = get_ulong(&m), info->state = get_ulong(&m);
		info->flags = get_ulong(&m), info->ulDeviceError = get_ulong(&m);
	}
	return leave(finished(&m, rv));
}

/* login passes no PIN on: there is none, and one that a person typed has no business elsewhere. */
CK_RV login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;
	CK_RV rv = enter_session(handle, &s, until);

	(void)pin, (void)n;
	if (rv != CKR_OK)
		return rv;
	call_begin(&m, LOGIN, "uuay");
	put_ulong(&m, s->far);
	put_ulong(&m, user);
	put_buffer(&m, NULL, 0);
	return leave(finished(&m, exchange(&m, LOGIN, "", until)));
}

CK_RV logout(CK_SESSION_HANDLE handle) { return within_session(handle, LOGOUT); }

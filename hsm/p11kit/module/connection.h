/* What functions of the module share: calls to trustlink under the lock, within sessions. */
#ifndef TRUSTLINK_CONNECTION_H
#define TRUSTLINK_CONNECTION_H

#include "message.h"

#define SLOT 1

/* Numbers of calls (hsm/p11kit/calls.go). */
enum {
	INITIALIZE = 1, GET_TOKEN_INFO = 6, GET_MECHANISM_LIST = 7, GET_MECHANISM_INFO = 8,
	OPEN_SESSION = 10, CLOSE_SESSION = 11, CLOSE_ALL_SESSIONS = 12, GET_SESSION_INFO = 13, LOGIN = 18, LOGOUT = 19,
	GET_ATTRIBUTE_VALUE = 24, FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, FIND_OBJECTS_FINAL = 28,
	DECRYPT_INIT = 33, DECRYPT = 34, SIGN_INIT = 42, SIGN = 43, SIGN_UPDATE = 44, SIGN_FINAL = 45,
	VERIFY_INIT = 48, VERIFY = 49, VERIFY_UPDATE = 50, VERIFY_FINAL = 51, GENERATE_RANDOM = 64
};

struct session {
	CK_SESSION_HANDLE handle; /* the program's; 0: free */
	CK_ULONG far;	  /* trustlink's */
	uint32_t generation;
};

/* deadline is when a call that begins now is over. */
uint64_t deadline(void);

/* enter takes the lock for a call of an initialised module, enter_slot for one about the token, and enter_session for one
 * within a session that still is one for trustlink. Only after CKR_OK there is a lock to leave. */
CK_RV enter(uint64_t until);
CK_RV enter_slot(CK_SLOT_ID slot, uint64_t until);
CK_RV enter_session(CK_SESSION_HANDLE handle, struct session **s, uint64_t until);
CK_RV leave(CK_RV rv);

/* connect_now greets trustlink, unless that was done. */
CK_RV connect_now(void);

/* exchange sends a call and reads its answer into it; finished ends it, once its values were read. */
CK_RV exchange(struct message *m, uint32_t number, const char *values, uint64_t until);
CK_RV finished(struct message *m, CK_RV rv);

/* far_object is trustlink's handle of an object, 0 for one that is not of this connection; near_object is the program's. */
CK_ULONG far_object(CK_OBJECT_HANDLE handle);
CK_OBJECT_HANDLE near_object(CK_ULONG far);

/* within_session is a whole call that has the session's handle alone, and no values in its answer. */
CK_RV within_session(CK_SESSION_HANDLE handle, uint32_t number);

/* Functions of PKCS#11. */
CK_RV initialize(void *args);
CK_RV finalize(void *reserved);
CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *session);
CK_RV close_session(CK_SESSION_HANDLE handle);
CK_RV close_all_sessions(CK_SLOT_ID slot);
CK_RV get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info);
CK_RV login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n);
CK_RV logout(CK_SESSION_HANDLE handle);
CK_RV get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count);
CK_RV find_objects_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count);
CK_RV find_objects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count);
CK_RV find_objects_final(CK_SESSION_HANDLE handle);
CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key);
CK_RV sign_data(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n, unsigned char *out, CK_ULONG *size);
CK_RV sign_update(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n);
CK_RV sign_final(CK_SESSION_HANDLE s, unsigned char *out, CK_ULONG *size);
CK_RV decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key);
CK_RV decrypt_data(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n, unsigned char *out, CK_ULONG *size);
CK_RV verify_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key);
CK_RV verify_update(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n);
CK_RV verify_data(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n, unsigned char *signature, CK_ULONG size);
CK_RV verify_final(CK_SESSION_HANDLE s, unsigned char *signature, CK_ULONG size);
CK_RV seed_random(CK_SESSION_HANDLE handle, unsigned char *seed, CK_ULONG n);
CK_RV generate_random(CK_SESSION_HANDLE handle, unsigned char *out, CK_ULONG n);

#endif

/* Objects: finding them, and what they say of themselves. */
#include "connection.h"

#define MAX_FOUND 256		/* objects a call */

CK_RV get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;

	if (template == NULL || count == 0 || count > MAX_COUNT)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until), small = CKR_OK;
	if (rv != CKR_OK)
		return rv;
	if (far_object(object) == 0)
		return leave(CKR_OBJECT_HANDLE_INVALID);
	call_begin(&m, GET_ATTRIBUTE_VALUE, "uufA");
	put_ulong(&m, s->far);
	put_ulong(&m, far_object(object));
	put_u32(&m, (uint32_t)count);
	for (CK_ULONG i = 0; i < count; i++) {
		put_u32(&m, kind32(template[i].type));
		put_u32(&m, 0); /* whole: what fits is known here */
	}
	if ((rv = exchange(&m, GET_ATTRIBUTE_VALUE, "aAu", until)) == CKR_OK) {
		if (get_u32(&m) != count)
			m.bad = 1;
		for (CK_ULONG i = 0; i < count && !m.bad; i++) {
			if (get_u32(&m) != kind32(template[i].type))
				m.bad = 1;
			else if (get_value(&m, &template[i]) == CKR_BUFFER_TOO_SMALL)
				small = CKR_BUFFER_TOO_SMALL;
		}
		CK_RV said = get_ulong(&m);
		get_end(&m);
		rv = said != CKR_OK ? said : small;
	}
	return leave(finished(&m, rv));
}

CK_RV find_objects_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;

	if ((template == NULL && count > 0) || count > MAX_COUNT)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	call_begin(&m, FIND_OBJECTS_INIT, "uaA");
	put_ulong(&m, s->far);
	put_template(&m, template, count);
	if (m.bad) {
		message_free(&m);
		return leave(CKR_ATTRIBUTE_VALUE_INVALID);
	}
	return leave(finished(&m, exchange(&m, FIND_OBJECTS_INIT, "", until)));
}

CK_RV find_objects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;

	if (found == NULL || count == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG room = max > MAX_FOUND ? MAX_FOUND : max, n = 0;
	call_begin(&m, FIND_OBJECTS, "ufu");
	put_ulong(&m, s->far);
	put_u32(&m, (uint32_t)room);
	if ((rv = exchange(&m, FIND_OBJECTS, "au", until)) == CKR_OK)
		rv = get_list(&m, found, room, &n);
	for (CK_ULONG i = 0; rv == CKR_OK && !m.bad && i < n; i++) {
		if ((found[i] = near_object(found[i])) == 0)
			m.bad = 1;
	}
	if ((rv = finished(&m, rv)) == CKR_OK)
		*count = n;
	return leave(rv);
}

CK_RV find_objects_final(CK_SESSION_HANDLE handle) { return within_session(handle, FIND_OBJECTS_FINAL); }

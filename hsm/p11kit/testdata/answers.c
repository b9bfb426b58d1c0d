/* Reads answers from standard input, each behind four octets that say how long it is, as the module would, and says so
 * by one octet each. The first octet of an answer says what is expected. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/* attributes reads what C_GetAttributeValue does. */
static void attributes(struct message *m) {
	CK_ULONG kinds[] = {CKA_CLASS, CKA_TOKEN, CKA_ID, CKA_LABEL, CKA_MODULUS_BITS, CKA_ALLOWED_MECHANISMS, CKA_VALUE};
	get_u32(m);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !m->bad; i++) {
		size_t room = i % 3 == 0 ? 0 : 8 * i;
		CK_ATTRIBUTE a = {kinds[i], room == 0 ? NULL : malloc(room), (CK_ULONG)room};
		get_u32(m);
		get_value(m, &a);
		if (a.pValue != NULL && a.ulValueLen != CK_UNAVAILABLE_INFORMATION && !m->bad && a.ulValueLen > room)
			abort();
		free(a.pValue);
	}
	get_ulong(m);
	get_end(m);
}

static void list(struct message *m) {
	CK_ULONG room = 5, n = 0, *to = malloc(room * sizeof *to);
	if (get_list(m, to, room, &n) == CKR_OK && !m->bad && n > room)
		abort();
	free(to);
}

static void result(struct message *m) {
	CK_ULONG n = 0, room = 64;
	unsigned char *to = malloc(room);
	if (get_result(m, to, room, &n) == CKR_OK && !m->bad && n > room)
		abort();
	free(to);
}

static void token(struct message *m) {
	unsigned char *label = malloc(32);
	get_text(m, label, 32);
	for (int i = 0; i < 11; i++)
		get_ulong(m);
	get_version(m);
	get_end(m);
	free(label);
}

static void answer(const unsigned char *data, size_t n) {
	static const struct {
		uint32_t number;
		const char *values;
		void (*read)(struct message *);
	} calls[] = {{24, "aAu", attributes}, {27, "au", list}, {43, "ay", result}, {6, "ssss", token}, {12, "", get_end}};
	size_t which = n == 0 ? 0 : data[0] % (sizeof calls / sizeof *calls);
	struct message m = {0};
	uint32_t options;

	if (n >= HEAD && answer_size(data, 1, &options) >= 0 && (answer_size(data, 1, &options) > MAX_BODY || options > MAX_OPTIONS))
		abort();
	m.end = n == 0 ? 0 : n - 1;
	m.data = malloc(m.end); /* of just that size: the sanitizer sees what is read behind it */
	if (m.end > 0)
		memcpy(m.data, data + 1, m.end);
	if (answer_begin(&m, calls[which].number, calls[which].values) == CKR_OK && !m.bad)
		calls[which].read(&m);
	message_free(&m);
}

int main(void) {
	unsigned char head[4];
	while (fread(head, 1, 4, stdin) == 4) {
		size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
		unsigned char *data = malloc(n + 1);
		if (data == NULL || fread(data, 1, n, stdin) != n)
			return 3;
		answer(data, n);
		free(data);
		putchar('.');
		fflush(stdout);
	}
	return 0;
}

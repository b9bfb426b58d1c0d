#include "message.h"

#include <stdlib.h>
#include <string.h>

/* attribute forms: how the protocol writes a value. The table is that of forms in hsm/p11kit/cryptoki.go, and a test
 * holds them against each other. */
enum form { OCTETS, OCTET, ULONG, ARRAY };

static const CK_ULONG ulongs[] = {0x00, 0x80, 0x87, 0x100, 0x121, 0x88, 0x133, 0x134, 0x160, 0x161, 0x166, 0x201, 0x300, 0x400,
				  0x401, 0x402, 0x403, 0x404, 0x406, 0x500};
static const CK_ULONG octets[] = {0x01, 0x02, 0x86, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109, 0x10a, 0x10b, 0x10c, 0x162,
				  0x163, 0x164, 0x165, 0x170, 0x171, 0x200, 0x202, 0x210, 0x301, 0x302, 0x405};
static const CK_ULONG arrays[] = {0x40000211, 0x40000212, 0x40000213, 0x40000600};

#define LENGTH(a) (sizeof(a) / sizeof *(a))

static int among(const CK_ULONG *all, size_t n, CK_ULONG kind) {
	for (size_t i = 0; i < n; i++)
		if (all[i] == kind)
			return 1;
	return 0;
}

static enum form form_of(CK_ULONG kind) {
	if (among(ulongs, LENGTH(ulongs), kind))
		return ULONG;
	if (among(octets, LENGTH(octets), kind))
		return OCTET;
	return among(arrays, LENGTH(arrays), kind) ? ARRAY : OCTETS;
}

/* room makes room for n octets more, and returns where they go; NULL where a call would be too long for trustlink. */
static unsigned char *room(struct message *m, size_t n) {
	unsigned char *grown, *to;
	size_t size = m->size;

	if (m->bad || n > HEAD + MAX_BODY - m->end) {
		m->bad = 1;
		return NULL;
	}
	while (size < m->end + n)
		size = size < 256 ? 256 : 2 * size;
	if (size != m->size) {
		if ((grown = realloc(m->data, size)) == NULL) {
			m->bad = 1;
			return NULL;
		}
		m->data = grown;
		m->size = size;
	}
	to = m->data + m->end;
	m->end += n;
	return to;
}

static void put(struct message *m, const void *data, size_t n) {
	unsigned char *to = room(m, n);
	if (to != NULL && n > 0)
		memcpy(to, data, n);
}

void put_octet(struct message *m, unsigned char value) { put(m, &value, 1); }

static void store_u32(unsigned char *to, uint32_t v) {
	to[0] = (unsigned char)(v >> 24), to[1] = (unsigned char)(v >> 16), to[2] = (unsigned char)(v >> 8), to[3] = (unsigned char)v;
}

static uint32_t load_u32(const unsigned char *b) {
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

uint32_t kind32(CK_ULONG kind) {
	uint64_t wide = kind;
	return wide > ABSENT ? ABSENT : (uint32_t)wide;
}

void put_u32(struct message *m, uint32_t value) {
	unsigned char b[4];
	store_u32(b, value);
	put(m, b, sizeof b);
}

void put_ulong(struct message *m, CK_ULONG value) {
	put_u32(m, (uint32_t)((uint64_t)value >> 32));
	put_u32(m, (uint32_t)value);
}

void put_octets(struct message *m, const void *data, size_t n) {
	if (n > MAX_BODY) {
		m->bad = 1;
		return;
	}
	put_u32(m, (uint32_t)n);
	put(m, data, n);
}

void put_buffer(struct message *m, const void *data, size_t n) {
	put_octet(m, data != NULL);
	if (data != NULL)
		put_octets(m, data, n);
	else
		put_u32(m, (uint32_t)n);
}

void put_template(struct message *m, const CK_ATTRIBUTE *template, CK_ULONG count) {
	if (count > MAX_COUNT)
		m->bad = 1;
	put_u32(m, (uint32_t)count);
	for (CK_ULONG i = 0; i < count && !m->bad; i++) {
		const CK_ATTRIBUTE *a = &template[i];
		enum form form = form_of(a->type);
		size_t wanted = form == ULONG ? sizeof(CK_ULONG) : sizeof(CK_BBOOL);
		if (form == ARRAY || (a->pValue != NULL && form != OCTETS && a->ulValueLen != wanted)) {
			m->bad = 1;
			return;
		}
		put_u32(m, kind32(a->type));
		put_octet(m, a->pValue != NULL);
		if (a->pValue == NULL)
			continue;
		put_u32(m, (uint32_t)a->ulValueLen);
		if (form == ULONG) {
			CK_ULONG value;
			memcpy(&value, a->pValue, sizeof value); /* programs need not align it */
			put_ulong(m, value);
		} else if (form == OCTET) {
			put(m, a->pValue, 1);
		} else {
			put_octets(m, a->pValue, a->ulValueLen);
		}
	}
}

void call_begin(struct message *m, uint32_t number, const char *values) {
	memset(m, 0, sizeof *m);
	if (room(m, HEAD) != NULL)
		memset(m->data, 0, HEAD);
	put_u32(m, number);
	put_octets(m, values, strlen(values));
}

void message_free(struct message *m) {
	free(m->data);
	memset(m, 0, sizeof *m);
}

int64_t answer_size(const unsigned char head[HEAD], uint32_t call, uint32_t *options) {
	uint32_t body = load_u32(head + 8);

	*options = load_u32(head + 4);
	if (load_u32(head) != call || *options > MAX_OPTIONS || body > MAX_BODY)
		return -1;
	return body;
}

/* take returns n octets of the answer, NULL where there are not so many. */
static const unsigned char *take(struct message *m, size_t n) {
	const unsigned char *taken;

	if (m->bad || n > m->end - m->at) {
		m->bad = 1;
		return NULL;
	}
	taken = m->data + m->at;
	m->at += n;
	return taken;
}

unsigned char get_octet(struct message *m) {
	const unsigned char *b = take(m, 1);
	return b == NULL ? 0 : *b;
}

uint32_t get_u32(struct message *m) {
	const unsigned char *b = take(m, 4);
	return b == NULL ? 0 : load_u32(b);
}

/* get_ulong: on Windows a CK_ULONG has 32 bits; 'not known', all ones, stays that, and what does not fit is bad. */
CK_ULONG get_ulong(struct message *m) {
	uint64_t high = get_u32(m), value = high << 32 | get_u32(m);

	if (value == UINT64_MAX)
		return (CK_ULONG)-1;
	if ((CK_ULONG)value != value)
		m->bad = 1;
	return m->bad ? 0 : (CK_ULONG)value;
}

const unsigned char *get_octets(struct message *m, size_t *n) {
	*n = get_u32(m);
	const unsigned char *b = take(m, *n);
	if (b == NULL)
		*n = 0;
	return b;
}

void get_text(struct message *m, unsigned char *to, size_t n) {
	size_t found;
	const unsigned char *b = get_octets(m, &found);

	if (b == NULL || found != n)
		m->bad = 1;
	else
		memcpy(to, b, n);
}

CK_VERSION get_version(struct message *m) {
	CK_VERSION v;
	v.major = get_octet(m);
	v.minor = get_octet(m);
	return v;
}

void get_end(struct message *m) {
	if (m->at != m->end)
		m->bad = 1;
}

CK_RV answer_begin(struct message *m, uint32_t number, const char *values) {
	uint32_t is = get_u32(m);
	size_t n;
	const unsigned char *said = get_octets(m, &n);
	const char *expected = is == 0 ? "u" : values;

	if (said == NULL || (is != 0 && is != number) || n != strlen(expected) || memcmp(said, expected, n) != 0)
		m->bad = 1;
	if (!m->bad && is != 0)
		return CKR_OK;
	CK_RV code = get_ulong(m);
	get_end(m);
	if (code == CKR_OK)
		m->bad = 1;
	return m->bad ? CKR_DEVICE_ERROR : code;
}

CK_RV get_value(struct message *m, CK_ATTRIBUTE *to) {
	enum form form = form_of(to->type);
	const unsigned char *value = NULL;
	unsigned char flag;
	CK_ULONG number;
	size_t n = 0;

	if (get_octet(m) == 0) {
		to->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_OK;
	}
	get_u32(m); /* its length on the other side */
	switch (form) {
	case ULONG:
		number = get_ulong(m);
		value = (const unsigned char *)&number;
		n = sizeof number;
		break;
	case OCTET:
		flag = get_octet(m);
		value = &flag;
		n = sizeof flag;
		break;
	case ARRAY: /* trustlink's objects have none */
		m->bad = 1;
		break;
	default:
		value = get_octets(m, &n);
	}
	if (m->bad)
		return CKR_DEVICE_ERROR;
	if (to->pValue != NULL && to->ulValueLen < n) {
		to->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_BUFFER_TOO_SMALL;
	}
	if (to->pValue != NULL && n > 0)
		memcpy(to->pValue, value, n);
	to->ulValueLen = (CK_ULONG)n;
	return CKR_OK;
}

CK_RV get_list(struct message *m, CK_ULONG *to, CK_ULONG room, CK_ULONG *count) {
	unsigned char all = get_octet(m);
	uint32_t n = get_u32(m);

	if (all == 0) { /* there are more than there is room for */
		get_end(m);
		if (n <= room || n > MAX_BODY)
			m->bad = 1;
		if (!m->bad)
			*count = n;
		return to == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	if (n > room)
		m->bad = 1;
	for (uint32_t i = 0; i < n && !m->bad; i++)
		to[i] = get_ulong(m);
	get_end(m);
	if (!m->bad)
		*count = n;
	return CKR_OK;
}

CK_RV get_result(struct message *m, unsigned char *to, CK_ULONG room, CK_ULONG *n) {
	if (get_octet(m) == 0) {
		uint32_t needed = get_u32(m);
		get_end(m);
		if (needed <= room || needed > MAX_BODY)
			m->bad = 1;
		if (!m->bad)
			*n = needed;
		return to == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	size_t length;
	const unsigned char *value = get_octets(m, &length);
	get_end(m);
	if (length > room)
		m->bad = 1;
	if (m->bad)
		return CKR_DEVICE_ERROR;
	if (to != NULL && length > 0)
		memcpy(to, value, length);
	*n = (CK_ULONG)length;
	return CKR_OK;
}

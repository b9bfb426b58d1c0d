/* Signatures, their verification, decryption and random numbers. */
#include <string.h>

#include "connection.h"

#define PIECE (512u << 10)	/* octets of data a call: more goes in several */
#define RANDOM_PIECE (64u << 10) /* as trustlink has it too (maxRandom) */

/* put_mechanism writes a CK_MECHANISM. Parameters are read from the program as octets: it need not align them. */
static CK_RV put_mechanism(struct message *m, const CK_MECHANISM *how) {
	CK_RSA_PKCS_PSS_PARAMS pss;
	CK_RSA_PKCS_OAEP_PARAMS oaep;

	if (how->pParameter == NULL && how->ulParameterLen > 0)
		return CKR_MECHANISM_PARAM_INVALID;
	put_u32(m, kind32(how->mechanism));
	switch (how->mechanism) {
	case CKM_RSA_PKCS_PSS: case CKM_SHA256_RSA_PKCS_PSS: case CKM_SHA384_RSA_PKCS_PSS: case CKM_SHA512_RSA_PKCS_PSS:
		if (how->ulParameterLen != sizeof pss)
			return CKR_MECHANISM_PARAM_INVALID;
		memcpy(&pss, how->pParameter, sizeof pss);
		put_ulong(m, pss.hashAlg), put_ulong(m, pss.mgf), put_ulong(m, pss.sLen);
		return CKR_OK;
	case CKM_RSA_PKCS_OAEP:
		if (how->ulParameterLen != sizeof oaep)
			return CKR_MECHANISM_PARAM_INVALID;
		memcpy(&oaep, how->pParameter, sizeof oaep);
		if (oaep.ulSourceDataLen > 0) /* a label, which trustlink does not take */
			return CKR_MECHANISM_PARAM_INVALID;
		put_ulong(m, oaep.hashAlg), put_ulong(m, oaep.mgf), put_ulong(m, oaep.source);
		put_octets(m, NULL, 0);
		return CKR_OK;
	default:
		if (how->ulParameterLen > 0) /* those that trustlink has take none */
			return CKR_MECHANISM_PARAM_INVALID;
		put_u32(m, ABSENT);
		return CKR_OK;
	}
}

/* begin is the Init of a kind of operation. */
static CK_RV begin(uint32_t number, CK_SESSION_HANDLE handle, const CK_MECHANISM *how, CK_OBJECT_HANDLE key) {
	uint64_t until = deadline();
	struct session *s;
	struct message m;

	if (how == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	if (far_object(key) == 0)
		return leave(CKR_KEY_HANDLE_INVALID);
	call_begin(&m, number, "uMu");
	put_ulong(&m, s->far);
	rv = put_mechanism(&m, how);
	put_ulong(&m, far_object(key));
	if (rv == CKR_OK)
		rv = exchange(&m, number, "", until);
	return leave(finished(&m, rv));
}

/* ask makes a call of a session whose values are octets to give, if there are any, and octets to get, if they are wanted.
 * Called with the lock. */
static CK_RV ask(struct session *s, uint32_t number, const char *values, const void *data, CK_ULONG n, unsigned char *out,
		 CK_ULONG *size, uint64_t until) {
	CK_ULONG room = size == NULL || out == NULL ? 0 : *size > MAX_BODY ? MAX_BODY : *size;
	struct message m;

	call_begin(&m, number, values);
	put_ulong(&m, s->far);
	if (strstr(values, "uay") != NULL)
		put_buffer(&m, data == NULL ? "" : data, n);
	if (size != NULL)
		put_u32(&m, (uint32_t)room);
	CK_RV rv = exchange(&m, number, size == NULL ? "" : "ay", until);
	if (rv == CKR_OK && size != NULL)
		rv = get_result(&m, out, room, size);
	return finished(&m, rv);
}

/* feed gives data to an operation, in pieces that trustlink takes. Called with the lock. */
static CK_RV feed(struct session *s, uint32_t update, const unsigned char *data, CK_ULONG n, uint64_t until) {
	CK_RV rv = CKR_OK;

	for (CK_ULONG at = 0; rv == CKR_OK && at < n; at += PIECE)
		rv = ask(s, update, "uay", data + at, n - at < PIECE ? n - at : PIECE, NULL, NULL, until);
	return rv;
}

static CK_RV update(uint32_t number, CK_SESSION_HANDLE handle, const unsigned char *data, CK_ULONG n) {
	uint64_t until = deadline();
	struct session *s;

	if (data == NULL && n > 0)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	return leave(feed(s, number, data, n, until));
}

/* produce is C_Sign, C_SignFinal and C_Decrypt. Much data to sign go in pieces, once there is room for the signature: a
 * question for its length takes none. */
static CK_RV produce(uint32_t number, CK_SESSION_HANDLE handle, const unsigned char *data, CK_ULONG n, unsigned char *out,
		     CK_ULONG *size) {
	uint64_t until = deadline();
	struct session *s;
	CK_ULONG needed = 0;

	if ((data == NULL && n > 0) || size == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	if (number == SIGN && n > PIECE) {
		if ((rv = ask(s, SIGN, "uayfy", "", 0, NULL, &needed, until)) != CKR_OK)
			return leave(rv);
		if (out == NULL || *size < needed) {
			*size = needed;
			return leave(out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL);
		}
		if ((rv = feed(s, SIGN_UPDATE, data, n, until)) != CKR_OK)
			return leave(rv);
		number = SIGN_FINAL;
	}
	if (number == SIGN_FINAL)
		return leave(ask(s, number, "ufy", NULL, 0, out, size, until));
	return leave(ask(s, number, "uayfy", data, n, out, size, until));
}

CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key) { return begin(SIGN_INIT, s, how, key); }

CK_RV sign_data(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n, unsigned char *out, CK_ULONG *size) {
	return produce(SIGN, s, data, n, out, size);
}

CK_RV sign_update(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n) { return update(SIGN_UPDATE, s, data, n); }

CK_RV sign_final(CK_SESSION_HANDLE s, unsigned char *out, CK_ULONG *size) { return produce(SIGN_FINAL, s, NULL, 0, out, size); }

CK_RV decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key) { return begin(DECRYPT_INIT, s, how, key); }

CK_RV decrypt_data(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n, unsigned char *out, CK_ULONG *size) {
	return produce(DECRYPT, s, data, n, out, size);
}

CK_RV verify_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key) { return begin(VERIFY_INIT, s, how, key); }

CK_RV verify_update(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n) { return update(VERIFY_UPDATE, s, data, n); }

/* check is C_Verify, and C_VerifyFinal with data of NULL. */
static CK_RV check(CK_SESSION_HANDLE handle, int final, const unsigned char *data, CK_ULONG n, const unsigned char *signature,
		   CK_ULONG size) {
	uint64_t until = deadline();
	uint32_t number = final || n > PIECE ? VERIFY_FINAL : VERIFY;
	struct session *s;
	struct message m;

	if ((data == NULL && n > 0) || signature == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	if (!final && n > PIECE && (rv = feed(s, VERIFY_UPDATE, data, n, until)) != CKR_OK)
		return leave(rv);
	call_begin(&m, number, number == VERIFY ? "uayay" : "uay");
	put_ulong(&m, s->far);
	if (number == VERIFY)
		put_buffer(&m, data == NULL ? (const unsigned char *)"" : data, n);
	put_buffer(&m, signature, size);
	return leave(finished(&m, exchange(&m, number, "", until)));
}

CK_RV verify_data(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG n, unsigned char *signature, CK_ULONG size) {
	return check(s, 0, data, n, signature, size);
}

CK_RV verify_final(CK_SESSION_HANDLE s, unsigned char *signature, CK_ULONG size) { return check(s, 1, NULL, 0, signature, size); }

/* seed_random: trustlink's random numbers need no seed of a program's. */
CK_RV seed_random(CK_SESSION_HANDLE handle, unsigned char *seed, CK_ULONG n) {
	struct session *s;
	CK_RV rv = enter_session(handle, &s, deadline());

	(void)seed, (void)n;
	return rv == CKR_OK ? leave(rv) : rv;
}

CK_RV generate_random(CK_SESSION_HANDLE handle, unsigned char *out, CK_ULONG n) {
	uint64_t until = deadline();
	struct session *s;

	if (out == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_session(handle, &s, until);
	if (rv != CKR_OK)
		return rv;
	for (CK_ULONG at = 0; rv == CKR_OK && at < n; at += RANDOM_PIECE) {
		CK_ULONG piece = n - at < RANDOM_PIECE ? n - at : RANDOM_PIECE, got = piece;
		rv = ask(s, GENERATE_RANDOM, "ufy", NULL, 0, out + at, &got, until);
		if (rv == CKR_OK && got != piece)
			rv = CKR_DEVICE_ERROR; /* or the rest would be what was there before */
	}
	return leave(rv);
}

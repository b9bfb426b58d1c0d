/* trustlink-pkcs11: the PKCS#11 module (2.40) that Windows programs load. It has no key and decides nothing: it carries
 * calls to trustlink pkcs11, which runs beside under an account of its own, as p11-kit's module does on Linux. A call ends
 * after CALL_TIME whatever happens; a trustlink that is away is a token that is not in its slot, and comes back by itself.
 * It starts no thread, so that a program can unload it. */
#define CRYPTOKI_EXPORTS
#include <string.h>

#include "connection.h"

/* text is padded with spaces, as PKCS#11 has it. */
static void text(unsigned char *to, size_t n, const char *from) {
	memset(to, ' ', n);
	memcpy(to, from, strlen(from));
}

static CK_RV get_info(CK_INFO *info) {
	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter(deadline());
	if (rv != CKR_OK)
		return rv;
	memset(info, 0, sizeof *info);
	info->cryptokiVersion = (CK_VERSION){2, 40};
	text(info->manufacturerID, sizeof info->manufacturerID, "trustcore");
	text(info->libraryDescription, sizeof info->libraryDescription, "keys of the data centre");
	info->libraryVersion = (CK_VERSION){1, 0};
	return leave(CKR_OK);
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count) {
	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter(deadline());
	if (rv != CKR_OK)
		return rv;
	CK_ULONG n = !present || connect_now() == CKR_OK;
	if (slots != NULL && *count < n)
		rv = CKR_BUFFER_TOO_SMALL;
	else if (slots != NULL && n > 0)
		slots[0] = SLOT;
	*count = n;
	return leave(rv);
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter(deadline());
	if (rv != CKR_OK)
		return rv;
	if (slot != SLOT)
		return leave(CKR_SLOT_ID_INVALID);
	memset(info, 0, sizeof *info);
	text(info->slotDescription, sizeof info->slotDescription, "HSM gateway");
	text(info->manufacturerID, sizeof info->manufacturerID, "trustcore");
	info->flags = CKF_REMOVABLE_DEVICE | (connect_now() == CKR_OK ? CKF_TOKEN_PRESENT : 0);
	info->hardwareVersion = info->firmwareVersion = (CK_VERSION){1, 0};
	return leave(CKR_OK);
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
	uint64_t until = deadline();
	struct message m;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_slot(slot, until);
	if (rv != CKR_OK)
		return rv;
	call_begin(&m, GET_TOKEN_INFO, "u");
	put_ulong(&m, SLOT);
	if ((rv = exchange(&m, GET_TOKEN_INFO, "ssssuuuuuuuuuuuvvs", until)) == CKR_OK) {
		get_text(&m, info->label, sizeof info->label);
		get_text(&m, info->manufacturerID, sizeof info->manufacturerID);
		get_text(&m, info->model, sizeof info->model);
		get_text(&m, info->serialNumber, sizeof info->serialNumber);
		info->flags = get_ulong(&m);
		info->ulMaxSessionCount = get_ulong(&m), info->ulSessionCount = get_ulong(&m);
		info->ulMaxRwSessionCount = get_ulong(&m), info->ulRwSessionCount = get_ulong(&m);
		info->ulMaxPinLen = get_ulong(&m), info->ulMinPinLen = get_ulong(&m);
		info->ulTotalPublicMemory = get_ulong(&m), info->ulFreePublicMemory = get_ulong(&m);
		info->ulTotalPrivateMemory = get_ulong(&m), info->ulFreePrivateMemory = get_ulong(&m);
		info->hardwareVersion = get_version(&m), info->firmwareVersion = get_version(&m);
		get_text(&m, info->utcTime, sizeof info->utcTime);
	}
	return leave(finished(&m, rv));
}

static CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count) {
	uint64_t until = deadline();
	struct message m;

	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_slot(slot, until);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG room = list == NULL ? 0 : *count > MAX_COUNT ? MAX_COUNT : *count;
	call_begin(&m, GET_MECHANISM_LIST, "ufu");
	put_ulong(&m, SLOT);
	put_u32(&m, (uint32_t)room);
	if ((rv = exchange(&m, GET_MECHANISM_LIST, "au", until)) == CKR_OK)
		rv = get_list(&m, list, room, count);
	return leave(finished(&m, rv));
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE kind, CK_MECHANISM_INFO *info) {
	uint64_t until = deadline();
	struct message m;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter_slot(slot, until);
	if (rv != CKR_OK)
		return rv;
	call_begin(&m, GET_MECHANISM_INFO, "uu");
	put_ulong(&m, SLOT);
	put_ulong(&m, kind);
	if ((rv = exchange(&m, GET_MECHANISM_INFO, "uuu", until)) == CKR_OK)
		info->ulMinKeySize = get_ulong(&m), info->ulMaxKeySize = get_ulong(&m), info->flags = get_ulong(&m);
	return leave(finished(&m, rv));
}

/* wait_for_slot_event: nobody is told, so nobody may wait. */
static CK_RV wait_for_slot_event(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved) {
	(void)slot, (void)reserved;
	return flags & CKF_DONT_BLOCK ? CKR_NO_EVENT : CKR_FUNCTION_NOT_SUPPORTED;
}

/* What a token that is read only has no use for. Arguments are not looked at. */
#define REFUSED(name, code, ...) static CK_RV name(__VA_ARGS__) { return code; }
#define H CK_SESSION_HANDLE
#define B unsigned char *
#define N CK_ULONG
#define R CK_ULONG *
#define M CK_MECHANISM *
#define A CK_ATTRIBUTE *
#define O CK_OBJECT_HANDLE

REFUSED(init_token, CKR_TOKEN_WRITE_PROTECTED, CK_SLOT_ID, B, N, B)
REFUSED(init_pin, CKR_TOKEN_WRITE_PROTECTED, H, B, N)
REFUSED(set_pin, CKR_TOKEN_WRITE_PROTECTED, H, B, N, B, N)
REFUSED(get_state, CKR_STATE_UNSAVEABLE, H, B, R)
REFUSED(set_state, CKR_FUNCTION_NOT_SUPPORTED, H, B, N, O, O)
REFUSED(create_object, CKR_TOKEN_WRITE_PROTECTED, H, A, N, O *)
REFUSED(copy_object, CKR_TOKEN_WRITE_PROTECTED, H, O, A, N, O *)
REFUSED(destroy_object, CKR_TOKEN_WRITE_PROTECTED, H, O)
REFUSED(object_size, CKR_FUNCTION_NOT_SUPPORTED, H, O, R)
REFUSED(set_attribute_value, CKR_TOKEN_WRITE_PROTECTED, H, O, A, N)
REFUSED(init_with_key, CKR_FUNCTION_NOT_SUPPORTED, H, M, O)
REFUSED(init_alone, CKR_FUNCTION_NOT_SUPPORTED, H, M)
REFUSED(transform, CKR_FUNCTION_NOT_SUPPORTED, H, B, N, B, R)
REFUSED(finish, CKR_FUNCTION_NOT_SUPPORTED, H, B, R)
REFUSED(digest_update, CKR_FUNCTION_NOT_SUPPORTED, H, B, N)
REFUSED(digest_key, CKR_FUNCTION_NOT_SUPPORTED, H, O)
REFUSED(generate_key, CKR_TOKEN_WRITE_PROTECTED, H, M, A, N, O *)
REFUSED(generate_pair, CKR_TOKEN_WRITE_PROTECTED, H, M, A, N, A, N, O *, O *)
REFUSED(wrap_key, CKR_FUNCTION_NOT_SUPPORTED, H, M, O, O, B, R)
REFUSED(unwrap_key, CKR_TOKEN_WRITE_PROTECTED, H, M, O, B, N, A, N, O *)
REFUSED(derive_key, CKR_FUNCTION_NOT_SUPPORTED, H, M, O, A, N, O *)
REFUSED(not_parallel, CKR_FUNCTION_NOT_PARALLEL, H)

static CK_RV get_function_list(CK_FUNCTION_LIST **list);

static CK_FUNCTION_LIST functions = {
	.version = {2, 40},
	.C_Initialize = initialize, .C_Finalize = finalize, .C_GetInfo = get_info, .C_GetFunctionList = get_function_list,
	.C_GetSlotList = get_slot_list, .C_GetSlotInfo = get_slot_info, .C_GetTokenInfo = get_token_info,
	.C_GetMechanismList = get_mechanism_list, .C_GetMechanismInfo = get_mechanism_info, .C_InitToken = init_token,
	.C_InitPIN = init_pin, .C_SetPIN = set_pin, .C_OpenSession = open_session, .C_CloseSession = close_session,
	.C_CloseAllSessions = close_all_sessions, .C_GetSessionInfo = get_session_info, .C_GetOperationState = get_state,
	.C_SetOperationState = set_state, .C_Login = login, .C_Logout = logout, .C_CreateObject = create_object,
	.C_CopyObject = copy_object, .C_DestroyObject = destroy_object, .C_GetObjectSize = object_size,
	.C_GetAttributeValue = get_attribute_value, .C_SetAttributeValue = set_attribute_value,
	.C_FindObjectsInit = find_objects_init, .C_FindObjects = find_objects, .C_FindObjectsFinal = find_objects_final,
	.C_EncryptInit = init_with_key, .C_Encrypt = transform, .C_EncryptUpdate = transform, .C_EncryptFinal = finish,
	.C_DecryptInit = decrypt_init, .C_Decrypt = decrypt_data, .C_DecryptUpdate = transform, .C_DecryptFinal = finish,
	.C_DigestInit = init_alone, .C_Digest = transform, .C_DigestUpdate = digest_update, .C_DigestKey = digest_key,
	.C_DigestFinal = finish, .C_SignInit = sign_init, .C_Sign = sign_data, .C_SignUpdate = sign_update, .C_SignFinal = sign_final,
	.C_SignRecoverInit = init_with_key, .C_SignRecover = transform, .C_VerifyInit = verify_init, .C_Verify = verify_data,
	.C_VerifyUpdate = verify_update, .C_VerifyFinal = verify_final, .C_VerifyRecoverInit = init_with_key,
	.C_VerifyRecover = transform, .C_DigestEncryptUpdate = transform, .C_DecryptDigestUpdate = transform,
	.C_SignEncryptUpdate = transform, .C_DecryptVerifyUpdate = transform, .C_GenerateKey = generate_key,
	.C_GenerateKeyPair = generate_pair, .C_WrapKey = wrap_key, .C_UnwrapKey = unwrap_key, .C_DeriveKey = derive_key,
	.C_SeedRandom = seed_random, .C_GenerateRandom = generate_random, .C_GetFunctionStatus = not_parallel,
	.C_CancelFunction = not_parallel, .C_WaitForSlotEvent = wait_for_slot_event,
};

static CK_RV get_function_list(CK_FUNCTION_LIST **list) {
	if (list == NULL)
		return CKR_ARGUMENTS_BAD;
	*list = &functions;
	return CKR_OK;
}

/* C_GetFunctionList is all that programs look up. */
#ifndef _WIN32 /* where the header says so itself */
__attribute__((visibility("default")))
#endif
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) { return get_function_list(list); }

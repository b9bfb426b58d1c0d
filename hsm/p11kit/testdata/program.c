/* A program that loads the module, as tests have it: program MODULE STORY. It ends with 0 when all was as it has to be,
 * and tells the line where it was not. Between the parts of a story it says "ready" and waits for a line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

#ifdef _WIN32
#include <windows.h>
#define THREAD HANDLE
#define WORK DWORD WINAPI
#define START(t, f, a) ((t) = CreateThread(NULL, 0, (f), (a), 0, NULL))
#define JOIN(t) WaitForSingleObject((t), INFINITE)
#else
#include <dlfcn.h>
#include <pthread.h>
#define THREAD pthread_t
#define WORK void *
#define START(t, f, a) pthread_create(&(t), NULL, (f), (a))
#define JOIN(t) pthread_join((t), NULL)
#endif

#define WANT(what, code)                                                                                               \
	do {                                                                                                           \
		CK_RV got_ = (what);                                                                                   \
		if (got_ != (code)) {                                                                                  \
			printf("line %d: %s: 0x%lx, want 0x%lx\n", __LINE__, #what, (unsigned long)got_, (unsigned long)(code)); \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)
#define HOLDS(what) WANT(!(what), 0)

static CK_FUNCTION_LIST *p;
static unsigned char digest_info[51] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
					0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

static void load(const char *path) {
	CK_C_GetFunctionList get;
#ifdef _WIN32
	HMODULE m = LoadLibraryA(path);
	HOLDS(m != NULL);
	get = (CK_C_GetFunctionList)(void *)GetProcAddress(m, "C_GetFunctionList");
#else
	void *m = dlopen(path, RTLD_NOW);
	HOLDS(m != NULL);
	get = (CK_C_GetFunctionList)dlsym(m, "C_GetFunctionList");
#endif
	HOLDS(get != NULL);
	WANT(get(NULL), CKR_ARGUMENTS_BAD);
	WANT(get(&p), CKR_OK);
}

static void wait_for_line(void) {
	char line[64];
	printf("ready\n");
	fflush(stdout);
	HOLDS(fgets(line, sizeof line, stdin) != NULL);
}

static CK_SESSION_HANDLE open_session(void) {
	CK_SESSION_HANDLE s;
	WANT(p->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_OK);
	return s;
}

/* find returns the one object of a class and label. */
static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label) {
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, (void *)label, (CK_ULONG)strlen(label)}};
	CK_OBJECT_HANDLE found[4];
	CK_ULONG n = 0;
	WANT(p->C_FindObjectsInit(s, t, 2), CKR_OK);
	WANT(p->C_FindObjects(s, found, 4, &n), CKR_OK);
	WANT(p->C_FindObjectsFinal(s), CKR_OK);
	WANT(n, 1);
	return found[0];
}

static void sign_and_verify(CK_SESSION_HANDLE s, const char *label, CK_MECHANISM_TYPE kind, unsigned char *data, CK_ULONG n) {
	CK_MECHANISM how = {kind, NULL, 0};
	unsigned char signature[512];
	CK_ULONG size = 0;
	WANT(p->C_SignInit(s, &how, find(s, CKO_PRIVATE_KEY, label)), CKR_OK);
	WANT(p->C_Sign(s, data, n, NULL, &size), CKR_OK);
	HOLDS(size >= 64);
	CK_ULONG small = size - 1;
	WANT(p->C_Sign(s, data, n, signature, &small), CKR_BUFFER_TOO_SMALL);
	WANT(small, size);
	size = sizeof signature;
	WANT(p->C_Sign(s, data, n, signature, &size), CKR_OK);
	CK_ULONG again = sizeof signature;
	WANT(p->C_Sign(s, data, n, signature, &again), CKR_OPERATION_NOT_INITIALIZED);
	CK_OBJECT_HANDLE public = find(s, CKO_PUBLIC_KEY, label);
	WANT(p->C_VerifyInit(s, &how, public), CKR_OK);
	WANT(p->C_Verify(s, data, n, signature, size), CKR_OK);
	signature[size / 2] ^= 1;
	WANT(p->C_VerifyInit(s, &how, public), CKR_OK);
	WANT(p->C_Verify(s, data, n, signature, size), CKR_SIGNATURE_INVALID);
}

static void attributes(CK_SESSION_HANDLE s) {
	CK_OBJECT_HANDLE key = find(s, CKO_PRIVATE_KEY, "seal-rsa");
	CK_ULONG class = 0, bits = 0;
	CK_BBOOL extractable = 7, unaligned[1 + sizeof(CK_ULONG)];
	unsigned char label[3], secret[512];
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_EXTRACTABLE, &extractable, 1}, {CKA_LABEL, NULL, 0}};
	WANT(p->C_GetAttributeValue(s, key, t, 3), CKR_OK);
	HOLDS(class == CKO_PRIVATE_KEY && extractable == 0 && t[2].ulValueLen == 8 && t[0].ulValueLen == sizeof class);
	CK_ATTRIBUTE small[] = {{CKA_LABEL, label, sizeof label}, {CKA_KEY_TYPE, unaligned + 1, sizeof(CK_ULONG)}};
	WANT(p->C_GetAttributeValue(s, key, small, 2), CKR_BUFFER_TOO_SMALL);
	HOLDS(small[0].ulValueLen == (CK_ULONG)-1 && small[1].ulValueLen == sizeof(CK_ULONG));
	CK_ATTRIBUTE private[] = {{CKA_PRIVATE_EXPONENT, secret, sizeof secret}, {CKA_CLASS, &class, sizeof class}};
	WANT(p->C_GetAttributeValue(s, key, private, 2), CKR_ATTRIBUTE_SENSITIVE);
	HOLDS(private[0].ulValueLen == (CK_ULONG)-1);
	CK_ATTRIBUTE none[] = {{0x80001234, secret, sizeof secret}};
	WANT(p->C_GetAttributeValue(s, key, none, 1), CKR_ATTRIBUTE_TYPE_INVALID);
	CK_ATTRIBUTE modulus[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}};
	WANT(p->C_GetAttributeValue(s, find(s, CKO_PUBLIC_KEY, "seal-rsa"), modulus, 1), CKR_OK);
	WANT(bits, 2048);
	WANT(p->C_GetAttributeValue(s, key, NULL, 1), CKR_ARGUMENTS_BAD);
	CK_ATTRIBUTE odd[] = {{CKA_CLASS, &class, 1}};
	WANT(p->C_FindObjectsInit(s, odd, 1), CKR_ATTRIBUTE_VALUE_INVALID);
	WANT(p->C_FindObjectsInit(s, odd, 100000), CKR_ARGUMENTS_BAD);
}

/* guesses are handles that nobody gave. */
static void guesses(CK_SESSION_HANDLE s) {
	CK_OBJECT_HANDLE key = find(s, CKO_PRIVATE_KEY, "seal-ec");
	CK_MECHANISM how = {CKM_ECDSA, NULL, 0}, raw = {CKM_RSA_X_509, NULL, 0}, odd = {CKM_ECDSA, digest_info, 7}, torn = {CKM_ECDSA, NULL, 7};
	for (CK_OBJECT_HANDLE h = 0; h < 64; h++)
		WANT(p->C_SignInit(s, &how, h), CKR_KEY_HANDLE_INVALID);
	WANT(p->C_SignInit(s, &how, key & 0xfffff), CKR_KEY_HANDLE_INVALID);
	WANT(p->C_SignInit(s, &how, key + (1u << 20)), CKR_KEY_HANDLE_INVALID);
	WANT(p->C_SignInit(s, &how, key + 1000), CKR_KEY_HANDLE_INVALID);
	WANT(p->C_SignInit(s + 1, &how, key), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_SignInit(0, &how, key), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_SignInit(s, &raw, find(s, CKO_PRIVATE_KEY, "seal-rsa")), CKR_MECHANISM_INVALID);
	WANT(p->C_SignInit(s, &odd, key), CKR_MECHANISM_PARAM_INVALID);
	WANT(p->C_SignInit(s, &torn, key), CKR_MECHANISM_PARAM_INVALID);
	WANT(p->C_SignInit(s, NULL, key), CKR_ARGUMENTS_BAD);
	CK_MECHANISM oaep = {CKM_RSA_PKCS_OAEP, digest_info, 3};
	WANT(p->C_DecryptInit(s, &oaep, key), CKR_MECHANISM_PARAM_INVALID);
	WANT(p->C_SignInit(s, &how, find(s, CKO_PUBLIC_KEY, "seal-ec")), CKR_KEY_FUNCTION_NOT_PERMITTED);
	WANT(p->C_CreateObject(s, NULL, 0, &key), CKR_TOKEN_WRITE_PROTECTED);
	WANT(p->C_GenerateKeyPair(s, &how, NULL, 0, NULL, 0, &key, &key), CKR_TOKEN_WRITE_PROTECTED);
	WANT(p->C_WrapKey(s, &how, key, key, NULL, NULL), CKR_FUNCTION_NOT_SUPPORTED);
}

static CK_SESSION_HANDLE start(void) {
	CK_SLOT_ID slot = 0;
	CK_ULONG n = 0;
	CK_SESSION_HANDLE s;
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	WANT(p->C_GetSlotList(CK_TRUE, NULL, &n), CKR_CRYPTOKI_NOT_INITIALIZED);
	WANT(p->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_CRYPTOKI_NOT_INITIALIZED);
	WANT(p->C_Initialize(&args), CKR_OK);
	WANT(p->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
	WANT(p->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
	WANT(n, 1);
	WANT(p->C_GetSlotList(CK_TRUE, &slot, &n), CKR_OK);
	WANT(slot, 1);
	WANT(p->C_OpenSession(2, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_SLOT_ID_INVALID);
	WANT(p->C_OpenSession(1, 0, NULL, NULL, &s), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	return open_session();
}

static void token(void) {
	CK_TOKEN_INFO info;
	CK_INFO lib;
	CK_MECHANISM_TYPE list[64];
	CK_MECHANISM_INFO kind;
	CK_ULONG n = 0;
	WANT(p->C_GetInfo(&lib), CKR_OK);
	HOLDS(lib.cryptokiVersion.major == 2 && memcmp(lib.manufacturerID, "trustcore   ", 12) == 0);
	WANT(p->C_GetTokenInfo(1, &info), CKR_OK);
	HOLDS(memcmp(info.label, "office   ", 9) == 0 && info.ulTotalPublicMemory == CK_UNAVAILABLE_INFORMATION);
	WANT(p->C_GetMechanismList(1, NULL, &n), CKR_OK);
	HOLDS(n > 2 && n <= 64);
	CK_ULONG less = n - 1;
	WANT(p->C_GetMechanismList(1, list, &less), CKR_BUFFER_TOO_SMALL);
	WANT(p->C_GetMechanismList(1, list, &n), CKR_OK);
	WANT(p->C_GetMechanismInfo(1, CKM_ECDSA, &kind), CKR_OK);
	HOLDS(kind.flags & CKF_SIGN);
	WANT(p->C_GetMechanismInfo(1, CKM_RSA_X_509, &kind), CKR_MECHANISM_INVALID);
}

static void random_numbers(CK_SESSION_HANDLE s) {
	enum { many = 200001 };
	unsigned char *r = calloc(many + 1, 1);
	int zero = 0;
	WANT(p->C_GenerateRandom(s, r, many), CKR_OK);
	for (int i = many - 4096; i < many; i++)
		zero += r[i] == 0;
	HOLDS(zero < 100 && r[many] == 0);
	free(r);
}

static WORK many_signatures(void *arg) {
	CK_SESSION_HANDLE s = open_session();
	(void)arg;
	for (int i = 0; i < 10; i++)
		sign_and_verify(s, "seal-ec", CKM_ECDSA, digest_info + 19, 32);
	WANT(p->C_CloseSession(s), CKR_OK);
	WANT(p->C_CloseSession(s), CKR_SESSION_HANDLE_INVALID);
	return 0;
}

static void story(void) {
	enum { large = 3 << 20 };
	CK_SESSION_HANDLE s = start();
	CK_SESSION_INFO info;
	unsigned char *data = calloc(large, 1);
	THREAD t[4];
	token();
	attributes(s);
	guesses(s);
	WANT(p->C_Login(s, CKU_USER, (unsigned char *)"1234", 4), CKR_OK);
	WANT(p->C_Login(s, CKU_USER, (unsigned char *)"1234", 4), CKR_USER_ALREADY_LOGGED_IN);
	WANT(p->C_GetSessionInfo(s, &info), CKR_OK);
	HOLDS(info.slotID == 1 && info.state == CKS_RO_USER_FUNCTIONS);
	WANT(p->C_Logout(s), CKR_OK);
	sign_and_verify(s, "seal-ec", CKM_ECDSA, digest_info + 19, 32);
	sign_and_verify(s, "seal-rsa", CKM_RSA_PKCS, digest_info, sizeof digest_info);
	sign_and_verify(s, "seal-rsa", CKM_SHA256_RSA_PKCS, data, large);
	WANT(p->C_VerifyInit(s, &(CK_MECHANISM){CKM_ECDSA, NULL, 0}, find(s, CKO_PUBLIC_KEY, "seal-ec")), CKR_OK);
	WANT(p->C_Verify(s, data, 32, data, large), CKR_ARGUMENTS_BAD); /* and the session is as good as before */
	random_numbers(s);
	for (int i = 0; i < 4; i++)
		START(t[i], many_signatures, NULL);
	for (int i = 0; i < 4; i++)
		JOIN(t[i]);
	WANT(p->C_CloseAllSessions(1), CKR_OK);
	WANT(p->C_GetSessionInfo(s, &info), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_Finalize(NULL), CKR_OK);
	WANT(p->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
	free(data);
}

static CK_OBJECT_HANDLE office_key;
static CK_SESSION_HANDLE office_session;

static WORK office_signatures(void *arg) {
	CK_SESSION_HANDLE s = open_session();
	(void)arg;
	for (int i = 0; i < 5; i++)
		sign_and_verify(s, "seal", CKM_ECDSA, digest_info + 19, 32);
	WANT(p->C_CloseSession(s), CKR_OK);
	return 0;
}

/* office: as story, with an office's key in the data centre; trustlink goes away in the middle, and comes back. */
static void office(void) {
	CK_SESSION_HANDLE s = start();
	CK_MECHANISM how = {CKM_ECDSA, NULL, 0};
	THREAD t[4];
	office_session = s, office_key = find(s, CKO_PRIVATE_KEY, "seal");
	sign_and_verify(s, "seal", CKM_ECDSA, digest_info + 19, 32);
	random_numbers(s);
	for (int i = 0; i < 4; i++)
		START(t[i], office_signatures, NULL);
	for (int i = 0; i < 4; i++)
		JOIN(t[i]);
	for (CK_OBJECT_HANDLE h = 0; h < 64; h++)
		WANT(p->C_SignInit(s, &how, h), CKR_KEY_HANDLE_INVALID);
	wait_for_line(); /* trustlink is gone */
	WANT(p->C_SignInit(s, &how, office_key), CKR_DEVICE_ERROR);
	WANT(p->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_TOKEN_NOT_PRESENT);
	wait_for_line(); /* it is there again */
	s = open_session();
	WANT(p->C_SignInit(office_session, &how, office_key), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_SignInit(s, &how, office_key), CKR_KEY_HANDLE_INVALID);
	sign_and_verify(s, "seal", CKM_ECDSA, digest_info + 19, 32);
	WANT(p->C_Finalize(NULL), CKR_OK);
}

/* outage: what served goes away, and another one comes, whose keys lie in another order. */
static void outage(void) {
	CK_SESSION_HANDLE s = start(), again;
	CK_OBJECT_HANDLE key = find(s, CKO_PRIVATE_KEY, "seal-ec");
	CK_MECHANISM how = {CKM_ECDSA, NULL, 0};
	CK_SLOT_INFO slot;
	CK_ULONG n = 0;
	wait_for_line(); /* it is gone */
	WANT(p->C_SignInit(s, &how, key), CKR_DEVICE_ERROR);
	WANT(p->C_SignInit(s, &how, key), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
	WANT(n, 0);
	WANT(p->C_GetSlotInfo(1, &slot), CKR_OK);
	HOLDS(!(slot.flags & CKF_TOKEN_PRESENT));
	WANT(p->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &again), CKR_TOKEN_NOT_PRESENT);
	wait_for_line(); /* another one is there */
	again = open_session();
	HOLDS(again != s);
	WANT(p->C_SignInit(s, &how, key), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_SignInit(again, &how, key), CKR_KEY_HANDLE_INVALID);
	sign_and_verify(again, "seal-ec", CKM_ECDSA, digest_info + 19, 32);
	WANT(p->C_Finalize(NULL), CKR_OK);
}

/* hostile: whatever comes for an answer, calls end and nothing is believed. What they return is not looked at. */
static void hostile(void) {
	CK_SESSION_HANDLE s = 0;
	CK_OBJECT_HANDLE found[4] = {1 << 20 | 1};
	CK_MECHANISM how = {CKM_ECDSA, NULL, 0};
	CK_ULONG n = 1, number;
	CK_MECHANISM_TYPE list[2];
	CK_TOKEN_INFO info;
	CK_SESSION_INFO session;
	unsigned char octets[16];
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &number, sizeof number}, {CKA_TOKEN, octets, 1}, {CKA_ID, octets, sizeof octets}};
	WANT(p->C_Initialize(NULL), CKR_OK);
	for (int i = 0; i < 150; i++) {
		if (p->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK)
			continue;
		n = 2, p->C_GetMechanismList(1, list, &n);
		p->C_GetTokenInfo(1, &info);
		p->C_GetSessionInfo(s, &session);
		p->C_FindObjectsInit(s, t, 0);
		n = 0;
		if (p->C_FindObjects(s, found, 4, &n) == CKR_OK)
			HOLDS(n <= 4);
		t[0].ulValueLen = sizeof number, t[1].ulValueLen = 1, t[2].ulValueLen = sizeof octets;
		p->C_GetAttributeValue(s, found[0], t, 3);
		p->C_SignInit(s, &how, found[0]);
		n = sizeof octets, p->C_Sign(s, digest_info, 32, octets, &n);
		n = sizeof octets, p->C_Decrypt(s, digest_info, 32, octets, &n);
		p->C_GenerateRandom(s, octets, sizeof octets);
		p->C_CloseSession(s);
	}
	WANT(p->C_Finalize(NULL), CKR_OK);
}

/* silent: who serves takes calls and never answers. */
static void silent(void) {
	CK_ULONG n = 0;
	WANT(p->C_Initialize(NULL), CKR_OK);
	WANT(p->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
	WANT(n, 0);
	WANT(p->C_Finalize(NULL), CKR_OK);
}

/* stuck: it greets, and answers nothing more. */
static void stuck(void) {
	CK_SESSION_HANDLE s = start();
	CK_SESSION_INFO info;
	wait_for_line();
	WANT(p->C_GetSessionInfo(s, &info), CKR_DEVICE_ERROR);
	WANT(p->C_GetSessionInfo(s, &info), CKR_SESSION_HANDLE_INVALID);
	WANT(p->C_Finalize(NULL), CKR_OK);
}

/* squatter: another account (one that is not the pipe's owner by name) was quicker to make the pipe. Not an octet goes
 * there. Windows alone. */
static void squatter(void) {
#ifdef _WIN32
	char name[256], octet;
	CK_ULONG n = 1;
	DWORD some = 0;
	printf("ready\n");
	fflush(stdout);
	HOLDS(fgets(name, sizeof name, stdin) != NULL);
	name[strcspn(name, "\r\n")] = 0;
	HANDLE pipe = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
	HOLDS(pipe != INVALID_HANDLE_VALUE);
	WANT(p->C_Initialize(NULL), CKR_OK);
	WANT(p->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
	WANT(n, 0);
	HOLDS(!ReadFile(pipe, &octet, 1, &some, NULL) || some == 0);
#endif
}

int main(int argc, char **argv) {
	static const struct {
		const char *name;
		void (*tell)(void);
	} stories[] = {{"story", story}, {"office", office}, {"outage", outage}, {"hostile", hostile}, {"silent", silent}, {"stuck", stuck}, {"squatter", squatter}};
	HOLDS(argc == 3);
	load(argv[1]);
	for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
		if (strcmp(argv[2], stories[i].name) == 0) {
			stories[i].tell();
			printf("as it has to be\n");
			return 0;
		}
	return 2;
}

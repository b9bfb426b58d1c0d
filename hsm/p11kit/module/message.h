/* Messages of p11-kit's RPC (version 0), as hsm/p11kit reads and writes them: a call with its values, and its answer.
 * Whatever an answer says, nothing is read behind its end, and no more than was asked for is believed. */
#ifndef TRUSTLINK_MESSAGE_H
#define TRUSTLINK_MESSAGE_H

#include <p11-kit/pkcs11.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD 12			  /* octets before a body: number of the call, length of options, length of the body */
#define MAX_BODY (1u << 20)	  /* octets of a body, as trustlink has it too (maxBody) */
#define MAX_OPTIONS (4u << 10)	  /* octets of options, which nobody reads */
#define MAX_COUNT 256		  /* attributes of a template, as trustlink has it too (maxCount) */
#define ABSENT 0xffffffffu	  /* the length of octets that are not there */

/* message is a call while it is written, then its answer. Once bad, it stays bad. */
struct message {
	unsigned char *data; /* HEAD octets, then the body */
	size_t size, end, at; /* at: how far the answer was read */
	int bad;
};

void call_begin(struct message *m, uint32_t number, const char *values);
void message_free(struct message *m);

/* kind32 is a type of attributes or mechanisms as the protocol writes it; one that is longer is none that anybody has. */
uint32_t kind32(CK_ULONG kind);

void put_octet(struct message *m, unsigned char value);
void put_u32(struct message *m, uint32_t value);
void put_ulong(struct message *m, CK_ULONG value);
void put_octets(struct message *m, const void *data, size_t n);
void put_buffer(struct message *m, const void *data, size_t n); /* an argument; NULL says only how long it is */
void put_template(struct message *m, const CK_ATTRIBUTE *template, CK_ULONG count);

/* answer_size returns the length of the body that follows a HEAD, and of the options before it; -1 for what is not the
 * answer to the call, or is too long. */
int64_t answer_size(const unsigned char head[HEAD], uint32_t call, uint32_t *options);

/* answer_begin returns CKR_OK where the values follow, what trustlink says that it is else, and CKR_DEVICE_ERROR with
 * bad set for no answer to this call. */
CK_RV answer_begin(struct message *m, uint32_t number, const char *values);

unsigned char get_octet(struct message *m);
uint32_t get_u32(struct message *m);
CK_ULONG get_ulong(struct message *m);
const unsigned char *get_octets(struct message *m, size_t *n);
void get_text(struct message *m, unsigned char *to, size_t n); /* of exactly that length */
CK_VERSION get_version(struct message *m);
void get_end(struct message *m); /* bad unless all was read */

/* get_value writes one attribute where the program wants it, and returns CKR_BUFFER_TOO_SMALL where it can't. */
CK_RV get_value(struct message *m, CK_ATTRIBUTE *to);

/* get_list writes an array of CK_ULONG for a program with room for so many, or tells their number. */
CK_RV get_list(struct message *m, CK_ULONG *to, CK_ULONG room, CK_ULONG *count);

/* get_result writes octets for a program with so much room, or tells their number. */
CK_RV get_result(struct message *m, unsigned char *to, CK_ULONG room, CK_ULONG *n);

#endif

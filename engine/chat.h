/* chat.h - the chat templates of the supported models, by name.
 *
 * Checkpoints bring their template as a Jinja program. Those in use here all say the same thing in a few
 * spellings, so they are known by name, and a checkpoint's own text only decides which one it is. Only one
 * user's turn is ever built: what stands before it is a system message, and what follows is the assistant's
 * head, after which the model writes.
 */
#ifndef TABES_CHAT_H
#define TABES_CHAT_H

#include "engine/base/strbuf.h"
#include "engine/tokenizer.h"

typedef struct chat {
    const char *name;          /* "llada", "dream", "qwen2.5", "qwen3", "chatml" */
    const char *begin;         /* once, before everything */
    const char *head, *middle; /* around the role */
    const char *end;           /* after a message */
    const char *stop;          /* the token that ends a turn: what follows it is no answer */
    const char *answer;        /* after the assistant's head */
    const char *briefing;      /* the system message when none is given; NULL: there is none then */
    const char *needs[3];      /* tokens that the tokenizer must have */
} chat;

/* By name; NULL when there is none. */
const chat *chat_find(const char *name);
/* "llada, dream, ..." for messages and help. */
const char *chat_names(void);

/* Which one a checkpoint's template is: NULL when the text is NULL or not recognised. */
const chat *chat_recognise(const char *jinja);

/* 0 when the tokenizer has the template's tokens. */
int chat_check(const chat *c, const tokenizer *t, err *e) MUST_CHECK;

/* Appends the whole prompt. `briefing` NULL: the template's own, if any. */
void chat_write(const chat *c, const char *briefing, const char *text, size_t n, strbuf *out);

/* The user's text inside a whole prompt that chat_write made: [*from, *from + *len). False when it is not
 * one. */
bool chat_body(const chat *c, const char *briefing, const char *whole, size_t n, size_t *from, size_t *len);

#endif

/* chat.c - the table of templates (docs/formats.md says where each comes from). */
#include "engine/chat.h"

#include <stdint.h>
#include <string.h>

#define CHATML                                                                                               \
    .begin = "", .head = "<|im_start|>", .middle = "\n", .end = "<|im_end|>\n", .stop = "<|im_end|>"
#define CHATML_TOKENS                                                                                        \
    { "<|im_start|>", "<|im_end|>", NULL }

static const chat chats[] = {
    {.name = "llada",
     .begin = "<|startoftext|>",
     .head = "<|start_header_id|>",
     .middle = "<|end_header_id|>\n\n",
     .end = "<|eot_id|>",
     .stop = "<|eot_id|>",
     .answer = "",
     .needs = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
    {.name = "dream",
     CHATML,
     .answer = "",
     .briefing = "You are a helpful assistant.",
     .needs = CHATML_TOKENS},
    {.name = "qwen2.5",
     CHATML,
     .answer = "",
     .briefing = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
     .needs = CHATML_TOKENS},
    {.name = "qwen3", CHATML, .answer = "<think>\n\n</think>\n\n", .needs = CHATML_TOKENS},
    {.name = "chatml", CHATML, .answer = "", .needs = CHATML_TOKENS},
};

enum { N_CHATS = sizeof chats / sizeof *chats };

const chat *chat_find(const char *name) {
    for (int i = 0; i < N_CHATS; i++) {
        if (!strcmp(chats[i].name, name)) return &chats[i];
    }
    return NULL;
}

const char *chat_names(void) {
    return "llada, dream, qwen2.5, qwen3, chatml";
}

const chat *chat_recognise(const char *jinja) {
    if (!jinja) return NULL;
    if (strstr(jinja, "start_header_id")) return chat_find("llada");
    if (!strstr(jinja, "<|im_start|>")) return NULL;
    if (strstr(jinja, "<think>")) return chat_find("qwen3");
    if (strstr(jinja, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."))
        return chat_find("qwen2.5");
    return chat_find(strstr(jinja, "You are a helpful assistant.") ? "dream" : "chatml");
}

int chat_check(const chat *c, const tokenizer *t, err *e) {
    for (int i = 0; i < 3 && c->needs[i]; i++) {
        if (tokenizer_find(t, c->needs[i]) >= 0) continue;
        return err_set(e, ERR_UNSUPPORTED,
                       "chat template %s needs the token %s, which this tokenizer lacks; use --raw", c->name,
                       c->needs[i]);
    }
    return 0;
}

static void message(const chat *c, const char *role, const char *text, strbuf *out) {
    strbuf_puts(out, c->head);
    strbuf_puts(out, role);
    strbuf_puts(out, c->middle);
    strbuf_puts(out, text);
    strbuf_puts(out, c->end);
}

static bool blank(char b) {
    return b == ' ' || b == '\n' || b == '\t' || b == '\r';
}

/* Everything before the user's text, and everything after it. */
static void write_before(const chat *c, const char *briefing, strbuf *out) {
    if (!briefing) briefing = c->briefing;
    strbuf_puts(out, c->begin);
    if (briefing) message(c, "system", briefing, out);
    strbuf_puts(out, c->head);
    strbuf_puts(out, "user");
    strbuf_puts(out, c->middle);
}

static void write_after(const chat *c, strbuf *out) {
    strbuf_puts(out, c->end);
    strbuf_puts(out, c->head);
    strbuf_puts(out, "assistant");
    strbuf_puts(out, c->middle);
    strbuf_puts(out, c->answer);
}

void chat_write(const chat *c, const char *briefing, const char *text, size_t n, strbuf *out) {
    bool trims = c->begin[0]; /* LLaDA's template trims every message */
    while (trims && n && blank(text[n - 1])) n--;
    while (trims && n && blank(text[0])) text++, n--;
    write_before(c, briefing, out);
    strbuf_add(out, text, n);
    write_after(c, out);
}

bool chat_body(const chat *c, const char *briefing, const char *whole, size_t n, size_t *from, size_t *len) {
    strbuf before, after;
    strbuf_init(&before, SIZE_MAX / 4);
    strbuf_init(&after, SIZE_MAX / 4);
    write_before(c, briefing, &before);
    write_after(c, &after);
    bool is = !before.failed && !after.failed && n >= before.len + after.len &&
              !memcmp(whole, before.data, before.len) &&
              !memcmp(whole + n - after.len, after.data, after.len);
    *from = is ? before.len : 0;
    *len = is ? n - before.len - after.len : 0;
    strbuf_release(&before);
    strbuf_release(&after);
    return is;
}

/* chat.c - the table of templates (docs/formats.md says where each comes from). */
#include "engine/chat.h"

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

static void message(const chat *c, const char *role, const char *text, size_t n, strbuf *out) {
    strbuf_puts(out, c->head);
    strbuf_puts(out, role);
    strbuf_puts(out, c->middle);
    strbuf_add(out, text, n);
    strbuf_puts(out, c->end);
}

static bool blank(char b) {
    return b == ' ' || b == '\n' || b == '\t' || b == '\r';
}

void chat_write(const chat *c, const char *briefing, const char *text, size_t n, strbuf *out) {
    if (!briefing) briefing = c->briefing;
    bool trims = c->begin[0]; /* LLaDA's template trims every message */
    while (trims && n && blank(text[n - 1])) n--;
    while (trims && n && blank(text[0])) text++, n--;
    strbuf_puts(out, c->begin);
    if (briefing) message(c, "system", briefing, strlen(briefing), out);
    message(c, "user", text, n, out);
    strbuf_puts(out, c->head);
    strbuf_puts(out, "assistant");
    strbuf_puts(out, c->middle);
    strbuf_puts(out, c->answer);
}

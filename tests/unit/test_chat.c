/* test_chat.c - every chat template to the letter, which one a Jinja text stands for, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/chat.h"

static const char *written(const char *name, const char *briefing, const char *text) {
    static strbuf out;
    const chat *c = chat_find(name);
    assert_non_null(c);
    strbuf_release(&out);
    strbuf_init(&out, 1 << 20);
    chat_write(c, briefing, text, strlen(text), &out);
    return out.data;
}

static void test_texts(void **state) {
    (void)state;
    assert_string_equal(written("llada", NULL, " Hi \n"),
                        "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                        "<|start_header_id|>assistant<|end_header_id|>\n\n");
    assert_string_equal(written("llada", "S", "Hi"),
                        "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
                        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                        "<|start_header_id|>assistant<|end_header_id|>\n\n");
    /* These three are what the published Jinja texts of Dream and Qwen give. */
    assert_string_equal(written("dream", NULL, " Hi\n"),
                        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n Hi\n"
                        "<|im_end|>\n<|im_start|>assistant\n");
    assert_string_equal(written("dream", "S", "Hi"),
                        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                        "<|im_start|>assistant\n");
    assert_string_equal(
        written("qwen2.5", NULL, "Hi"),
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    assert_string_equal(written("qwen3", NULL, "Hi"),
                        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                        "<think>\n\n</think>\n\n");
    assert_string_equal(written("chatml", "", "Hi"),
                        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                        "<|im_start|>assistant\n");
}

static void recognised(const char *jinja, const char *name) {
    const chat *c = chat_recognise(jinja);
    if (name)
        assert_string_equal(c ? c->name : "none", name);
    else
        assert_null(c);
}

static void test_recognise(void **state) {
    (void)state;
    recognised(NULL, NULL);
    recognised("{{ messages }}", NULL);
    recognised("'<|start_header_id|>' + message['role']", "llada");
    recognised("'<|im_start|>system\\nYou are a helpful assistant.<|im_end|>'", "dream");
    recognised("'<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.'",
               "qwen2.5");
    recognised("'<|im_start|>' enable_thinking '<think>\\n\\n</think>'", "qwen3");
    recognised("'<|im_start|>' + message.role", "chatml");
    assert_null(chat_find("jinja"));
    for (const char *name = chat_names(); *name; name += strspn(name, ", ")) {
        char one[20];
        size_t n = strcspn(name, ",");
        snprintf(one, sizeof one, "%.*s", (int)n, name);
        assert_non_null(chat_find(one));
        name += n;
    }
}

static void test_body(void **state) {
    (void)state;
    static const char *const names[] = {"llada", "dream", "qwen2.5", "qwen3", "chatml"};
    static const char *const texts[] = {"Hi", "two\nlines", "", "<|im_end|> inside"};
    size_t from, len;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t k = 0; k < 2 * sizeof texts / sizeof *texts; k++) {
            const char *briefing = k % 2 ? "S" : NULL, *text = texts[k / 2];
            const char *whole = written(names[i], briefing, text);
            assert_true(chat_body(chat_find(names[i]), briefing, whole, strlen(whole), &from, &len));
            assert_true(len == strlen(text) && !memcmp(whole + from, text, len));
            assert_false(chat_body(chat_find(names[i]), briefing, whole, strlen(whole) - 1, &from, &len));
        }
    }
    assert_false(chat_body(chat_find("dream"), NULL, "Hi", 2, &from, &len));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_recognise),
        cmocka_unit_test(test_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* json_parse.c - one line of JSON becomes a tree. A first pass refuses what no line may hold and counts the
 * values, so that the second, which knows the grammar, fills arrays that are large enough: a file of a
 * million numbers needs no allocation for each. */
#include "replay/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

void json_tree_release(json_tree *t) {
    free(t->values);
    free(t->text);
    *t = (json_tree){0};
}

/* Characters ------------------------------------------------------------ */

/* Bytes of the UTF-8 character at s, or 0 (overlong forms, surrogates and beyond U+10FFFF included). */
static size_t utf8_char(const unsigned char *s, size_t n) {
    if (!n) return 0;
    if (s[0] < 0x80) return s[0] ? 1 : 0;
    size_t k = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || k > n) return 0;
    for (size_t i = 1; i < k; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : k;
}

size_t json_utf8_prefix(const char *s, size_t n) {
    size_t i = 0, k;
    while ((k = utf8_char((const unsigned char *)s + i, n - i)) > 0) i += k;
    return i;
}

static size_t utf8_put(char *out, uint32_t cp) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)(lead[n] | cp);
    return n;
}

/* First pass ------------------------------------------------------------ */

/* Control characters, NUL bytes, broken UTF-8 and deep nesting are faults; *n_values is at least how many
 * values the line has. */
static bool scan(const char *s, size_t n, size_t *n_values, size_t *column, const char **why) {
    bool in_string = false;
    int depth = 0;
    size_t i = 0, k;
    for (*why = NULL, *n_values = 1; i < n && !*why; i += k) {
        unsigned char c = (unsigned char)s[i];
        k = c >= 0x80 || !c ? utf8_char((const unsigned char *)s + i, n - i) : 1;
        if (!k) {
            k = 1;
            *why = c ? "not valid UTF-8" : "a NUL byte";
        } else if (c < 0x20 && (in_string || (c != '\t' && c != '\r'))) {
            *why = "a control character";
        } else if (c == '"') {
            in_string = !in_string;
        } else if (in_string && c == '\\') {
            if (n - i >= 6 && !memcmp(s + i, "\\u0000", 6)) *why = "a NUL character in a string";
            k = i + 1 < n && (unsigned char)s[i + 1] < 0x80 ? 2 : 1;
        } else if (!in_string && (c == '{' || c == '[')) {
            if (++depth > JSON_DEPTH) *why = "nested too deeply";
            ++*n_values;
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        } else {
            *n_values += c == ',';
        }
        *column = i + 1;
    }
    return !*why;
}

/* Numbers --------------------------------------------------------------- */

enum { MAX_DIGITS = 19, MAX_POWER = 27 }; /* 10^19 and 5^27 are below 2^64 */

__extension__ typedef unsigned __int128 wide;

/* m / 10^k, rounded correctly: the quotient m·2^s / 5^k is cut to 63 bits or more, and its last bit also
 * stands for what was cut off. Ten times faster than strtod, which reads all other numbers. */
static double divide(uint64_t m, int k) {
    uint64_t five = 1;
    if (!m || !k) return (double)m;
    for (int i = 0; i < k; i++) five *= 5;
    int up = __builtin_clzll(m), by = __builtin_clzll(five);
    wide top = (wide)(m << up) << 63;
    uint64_t below = five << by, q = (uint64_t)(top / below);
    q |= (wide)q * below != top;
    return ldexp((double)q, by - up - 63 - k);
}

static const char *skip_digits(const char *s, uint64_t *m, int *digits) {
    for (; *s >= '0' && *s <= '9'; s++) {
        *digits += *m || *s != '0';
        *m = 10 * *m + (uint64_t)(*s - '0');
    }
    return s;
}

/* Second pass ----------------------------------------------------------- */

typedef struct parser {
    const char *line, *at; /* at: also where the fault is */
    json_tree *t;
    size_t n_text;
    bool bad;
} parser;

static void skip_space(parser *p) {
    while (*p->at && (unsigned char)*p->at <= 0x20) p->at++;
}

static void *fault(parser *p) {
    p->bad = true;
    return NULL;
}

static double number(parser *p) {
    const char *start = p->at, *s = start + (*start == '-'), *first = s;
    uint64_t m = 0, by = 0;
    int digits = 0, ignored = 0;
    s = skip_digits(s, &m, &digits);
    if (s == first || (*first == '0' && s > first + 1)) p->bad = true;
    long power = 0;
    if (*s == '.') {
        const char *point = s++;
        s = skip_digits(s, &m, &digits);
        power = (long)(point + 1 - s);
        if (!power) p->bad = true;
    }
    if (*s == 'e' || *s == 'E') {
        bool minus = s[1] == '-';
        const char *digit = s + 1 + (minus || s[1] == '+');
        s = skip_digits(digit, &by, &ignored);
        if (s == digit) p->bad = true;
        power += by > 1000 || ignored > 4 ? 2000 : minus ? -(long)by : (long)by;
    }
    if (p->bad) return 0;
    p->at = s;
    if (digits > MAX_DIGITS || power > 0 || power < -MAX_POWER) return strtod(start, NULL);
    double v = divide(m, (int)-power);
    return *start == '-' ? -v : v;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *s) {
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        v = 16 * v + digit;
    }
    return v;
}

/* What follows a backslash; p->at is behind it afterwards. */
static size_t escape(parser *p, char *out) {
    static const char names[] = "\"\\/bfnrt", signs[] = "\"\\/\b\f\n\r\t";
    const char *known = *p->at ? strchr(names, *p->at) : NULL;
    if (known) {
        *out = signs[known - names];
        p->at++;
        return 1;
    }
    int32_t cp = *p->at == 'u' ? hex4(p->at + 1) : -1;
    bool high = cp >= 0xd800 && cp < 0xdc00;
    int32_t low = high && p->at[5] == '\\' && p->at[6] == 'u' ? hex4(p->at + 7) : -1;
    if (cp <= 0 || (cp >= 0xdc00 && cp < 0xe000) || (high && (low < 0xdc00 || low >= 0xe000))) {
        p->bad = true;
        return 0;
    }
    p->at += high ? 11 : 5;
    return utf8_put(out, high ? 0x10000u + ((uint32_t)(cp - 0xd800) << 10) + (uint32_t)(low - 0xdc00)
                              : (uint32_t)cp);
}

/* Never longer than in the line, quotes for the NUL at its end. */
static const char *string(parser *p) {
    char *start = p->t->text + p->n_text, *out = start;
    p->at++;
    for (;;) {
        size_t plain = strcspn(p->at, "\"\\");
        memcpy(out, p->at, plain);
        out += plain;
        p->at += plain;
        if (!*p->at) return fault(p);
        if (*p->at == '"') break;
        p->at++;
        out += escape(p, out);
        if (p->bad) return NULL;
    }
    p->at++;
    *out++ = '\0';
    p->n_text += (size_t)(out - start);
    return start;
}

static bool take(parser *p, const char *word) {
    size_t n = strlen(word);
    bool is = !strncmp(p->at, word, n);
    if (is) p->at += n;
    return is;
}

static json_value *value(parser *p);

static json_value *member(parser *p, bool named) {
    const char *from = p->at, *name = NULL;
    if (named) {
        if (*p->at != '"') return fault(p);
        name = string(p);
        skip_space(p);
        if (p->bad || *p->at != ':') return fault(p);
        p->at++;
        skip_space(p);
    }
    json_value *v = value(p);
    v->name = name;
    v->from = (uint32_t)(from - p->line);
    return v;
}

static void members(parser *p, json_value *v, char close) {
    const json_value **link = &v->child;
    p->at++;
    skip_space(p);
    if (*p->at == close) {
        p->at++;
        return;
    }
    while (!p->bad) {
        json_value *c = member(p, close == '}');
        if (p->bad) return;
        *link = c;
        link = &c->next;
        v->n++;
        skip_space(p);
        if (*p->at == close) break;
        if (*p->at != ',') fault(p);
        p->at += !p->bad;
        skip_space(p);
    }
    p->at += !p->bad;
}

/* The depth of the recursion was checked by the first pass. */
static json_value *value(parser *p) {
    json_value *v = &p->t->values[p->t->n++];
    *v = (json_value){.at = (uint32_t)(p->at - p->line)};
    char c = *p->at;
    if (c == '-' || (c >= '0' && c <= '9')) {
        v->kind = JSON_NUMBER;
        v->number = number(p);
    } else if (c == '"') {
        v->kind = JSON_STRING;
        v->text = string(p);
    } else if (c == '{' || c == '[') {
        v->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        members(p, v, c == '{' ? '}' : ']');
    } else if (take(p, "true") || take(p, "false")) {
        v->kind = JSON_BOOL;
        v->number = c == 't';
    } else if (!take(p, "null")) {
        fault(p);
    }
    v->end = (uint32_t)(p->at - p->line);
    return v;
}

static bool reserve(json_tree *t, size_t n_values, size_t n_text) {
    t->n = 0;
    return mem_grow((void **)&t->values, &t->cap, n_values, sizeof *t->values) &&
           mem_grow((void **)&t->text, &t->cap_text, n_text, 1);
}

const json_value *json_parse_line(json_tree *t, const char *line, size_t n, size_t *column,
                                  const char **why) {
    size_t n_values;
    parser p = {.line = line, .at = line, .t = t};
    if (!scan(line, n, &n_values, column, why)) return NULL;
    skip_space(&p);
    if (*p.at != '{') {
        *why = *p.at ? "expected a JSON object" : "an empty line, expected a JSON object";
    } else if (!reserve(t, n_values, n + 1)) {
        *why = "out of memory";
    } else {
        value(&p);
        skip_space(&p);
        if (p.bad || *p.at) *why = *p.at ? "not valid JSON" : "the line ends inside JSON";
    }
    *column = (size_t)(p.at - line) + 1;
    return *why ? NULL : t->values;
}

/* Reading the tree ------------------------------------------------------ */

const json_value *json_find(const json_value *obj, const char *key) {
    const json_value *c = json_is(obj, JSON_OBJECT) ? obj->child : NULL;
    while (c && strcmp(c->name, key) != 0) c = c->next;
    return c;
}

const json_value *json_unknown(const json_value *obj, const char *line, const char *const *known,
                               strbuf *extra) {
    bool seen[64] = {false}, any = false;
    for (const json_value *c = obj->child; c; c = c->next) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], c->name) != 0) i++;
        if (known[i]) {
            if (i < 64 && seen[i]) return c;
            if (i < 64) seen[i] = true;
        } else {
            strbuf_putc(extra, any ? ',' : '{');
            strbuf_add(extra, line + c->from, c->end - c->from);
            any = true;
        }
    }
    if (any) strbuf_putc(extra, '}');
    return NULL;
}

/* test_tree.c - branches in memory and as one file: what is written is read back to the byte, and a file that
 * contradicts itself is refused with its place. */
#include "checks.h"
#include "device.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/intervene.h"
#include "replay/replay.h"

enum { N = 12, P = 4 };

static char dir[] = "/tmp/tabes-tree-XXXXXX", path[64], other[64];

typedef struct run {
    model m;
    session *s;
    trajectory t;
} run;

static run open_run(void) {
    run r = {0};
    err e = {0};
    int32_t prompt[P] = {1, 2, 3, 4};
    session_opts o = {.prompt = prompt, .n_prompt = P, .length = N - P, .policy = policy_find("boe")};
    MUST(model_open(&r.m, "tests/vectors/llada", NULL, &e), &e);
    policy_defaults(o.policy, NULL, &o.params);
    MUST(session_open(&r.s, r.m.d, &o, &e), &e);
    traj_header h;
    session_header(r.s, &h);
    MUST(trajectory_init(&r.t, &h, model_texts(&r.m), &e), &e);
    return r;
}

static void close_run(run *r) {
    trajectory_release(&r->t);
    session_close(r->s);
    model_close(&r->m);
}

static void decode(run *r, trajectory *t, int steps) {
    err e = {0};
    for (int i = 0; i < steps; i++) {
        const step_record *rec;
        MUST(session_propose(r->s, &rec, &e), &e);
        MUST(session_commit(r->s, rec, &e), &e);
        MUST(trajectory_append(t, rec, &e), &e);
        record_unref(rec);
    }
}

/* Branch 1: five steps; 2: leaves it at 3 with a forced token; 3: starts anew. */
static void grow(run *r, tree *t) {
    err e = {0};
    int id;
    step_record *force;
    trajectory b;
    decode(r, &r->t, 5);
    MUST(tree_add(t, &r->t, 0, 0, "b1", &id, &e), &e);
    CHECK(id == 1);
    MUST(trajectory_fork(&b, &r->t, 3, &e), &e);
    CHECK(b.n_records == 3 && b.records[2] == r->t.records[2] && !b.complete);
    int pos = 0;
    while (b.last[pos] != b.head.mask_id) pos++;
    MUST(intervene_write(&force, &b, 3, &(step_write){.pos = pos, .token = 9}, 1, &e), &e);
    MUST(trajectory_append(&b, force, &e), &e);
    record_unref(force);
    MUST(tree_add(t, &b, 1, 3, NULL, &id, &e), &e);
    CHECK(id == 2 && !strcmp(tree_find(t, 2)->name, "b2 at 3"));
    trajectory_release(&b);
    MUST(trajectory_fork(&b, &r->t, 0, &e), &e);
    MUST(tree_add(t, &b, 1, 0, "\u00fcber", &id, &e), &e);
    trajectory_release(&b);
    t->active = 2;
}

static void test_tree(void **state) {
    (void)state;
    run r = open_run();
    tree t = {0};
    trajectory x;
    err e = {0};
    int id;
    grow(&r, &t);
    CHECK(tree_holds(&t, &r.t));
    MUST(trajectory_fork(&x, &r.t, 2, &e), &e);
    CHECK(tree_holds(&t, &x));
    decode(&r, &r.t, 1);
    CHECK(!tree_holds(&t, &r.t));
    MUST(tree_update(&t, 1, &r.t, &e), &e);
    CHECK(tree_holds(&t, &r.t) && t.nodes[0].traj.n_records == 6);
    CHECK(tree_update(&t, 77, &r.t, &e) == ERR_NOT_FOUND);
    /* The active one stays; a child goes to its grandparent, and ids are not used again. */
    CHECK(!tree_remove(&t, 2) && !tree_remove(&t, 77));
    CHECK(tree_remove(&t, 1) && t.n == 2 && tree_find(&t, 2)->parent == 0 && tree_find(&t, 2)->fork == 0);
    MUST(tree_add(&t, &x, 2, 1, NULL, &id, &e), &e);
    CHECK(id == 4);
    trajectory_release(&x);
    tree_release(&t);
    close_run(&r);
}

static void read_bytes(strbuf *b, const char *from) {
    err e = {0};
    MUST(strbuf_read_file(b, from, 1 << 26, &e), &e);
}

static void write_bytes(const char *to, const char *data, size_t n) {
    FILE *f = fopen(to, "wb");
    if (CHECK(f)) {
        CHECK(fwrite(data, 1, n, f) == n);
        fclose(f);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    run r = open_run();
    tree t = {0};
    tree_file *f;
    err e = {0};
    strbuf a, b;
    grow(&r, &t);
    const tree *both[2] = {&t, &t};
    MUST(tree_save(both, 2, path, &e), &e);
    CHECK(tree_is_file(path));
    MUST(tree_load(&f, path, &e), &e);
    CHECK(tree_file_panes(f) == 2);
    for (int k = 0; k < 2; k++) {
        const tree *u = tree_file_tree(f, k);
        CHECK(u->n == 3 && u->active == 2 && u->last_id == 3);
        for (int i = 0; i < u->n && i < t.n; i++) {
            CHECK(u->nodes[i].id == t.nodes[i].id && u->nodes[i].parent == t.nodes[i].parent);
            CHECK(u->nodes[i].fork == t.nodes[i].fork && !strcmp(u->nodes[i].name, t.nodes[i].name));
            CHECK(trajectory_divergence(&u->nodes[i].traj, &t.nodes[i].traj, NULL) < 0);
            CHECK(u->nodes[i].traj.n_records == t.nodes[i].traj.n_records);
        }
    }
    const tree *read[2] = {tree_file_tree(f, 0), tree_file_tree(f, 1)};
    MUST(tree_save(read, 2, other, &e), &e);
    read_bytes(&a, path);
    read_bytes(&b, other);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    CHECK(tree_save(both, 2, "/no/such/folder/x", &e) == ERR_IO);
    /* A single recording is no tree, and the other way round. */
    MUST(replay_save(&r.t, other, &e), &e);
    tree_file *none;
    CHECK(!tree_is_file(other) && tree_load(&none, other, &e) && strstr(e.msg, ":1:"));
    replay *no_replay;
    CHECK(replay_load(&no_replay, path, &e) && strstr(e.msg, "a file of branches"));
    strbuf_release(&a);
    strbuf_release(&b);
    tree_file_close(f);
    tree_release(&t);
    close_run(&r);
}

/* With `from` (its nth occurrence) replaced the file is refused; `want` is in the message. */
static void damage(const strbuf *file, const char *from, int nth, const char *to, const char *want) {
    const char *at = file->data;
    for (int i = 0; at && i <= nth; i++) at = strstr(i ? at + 1 : at, from);
    if (!CHECK(at)) return;
    strbuf b;
    err e = {0};
    tree_file *f;
    strbuf_init(&b, 1 << 26);
    strbuf_add(&b, file->data, (size_t)(at - file->data));
    strbuf_puts(&b, to);
    strbuf_puts(&b, at + strlen(from));
    write_bytes(other, b.data, b.len);
    bool refused = tree_load(&f, other, &e);
    if (!CHECK(refused && !f && strstr(e.msg, want) && strstr(e.msg, other)))
        print_error("'%s' for '%s': %s\n", to, from, refused ? e.msg : "accepted");
    if (!refused) tree_file_close(f);
    strbuf_release(&b);
}

static void test_damages(void **state) {
    (void)state;
    run r = open_run();
    tree t = {0};
    const tree *trees[1] = {&t};
    err e = {0};
    strbuf file;
    grow(&r, &t);
    MUST(tree_save(trees, 1, path, &e), &e);
    read_bytes(&file, path);
    damage(&file, "tabes-tree", 0, "tabes-bush", "expected schema");
    damage(&file, "\"version\":\"1.0\"", 0, "\"version\":\"2.0\"", "this program reads 1.x");
    damage(&file, "\"nodes\":[3]", 0, "\"nodes\":[4]", "the file ends where a line");
    damage(&file, "\"nodes\":[3]", 0, "\"nodes\":[2]", "a line after the last branch");
    damage(&file, "\"nodes\":[3]", 0, "\"nodes\":[]", ":1:");
    damage(&file, "\"nodes\":[3]", 0, "\"nodes\":[3,3,3]", ":1:");
    damage(&file, "\"nodes\":[3]", 0, "\"nodes\":[99999999]", ":1:");
    damage(&file, "\"active\":[2]", 0, "\"active\":[9]", "no branch 9");
    damage(&file, "\"active\":[2]", 0, "\"active\":[2,1]", ":1:");
    damage(&file, "\"pane\":0", 0, "\"pane\":1", ":2:");
    damage(&file, "\"id\":2", 0, "\"id\":1", "id");
    damage(&file, "\"parent\":1", 0, "\"parent\":2", "no branch 2 before this one");
    damage(&file, "\"parent\":1,\"fork\":3", 0, "\"parent\":0,\"fork\":3", "without a parent");
    damage(&file, "\"fork\":3", 0, "\"fork\":4", "differs from its parent at step 3");
    damage(&file, "\"fork\":3", 0, "\"fork\":77", "leaves at state 77");
    damage(&file, "\"fork\":3", 0, "\"fork\":-1", "fork");
    damage(&file, "\"name\":\"b1\"", 0, "\"name\":7", "name");
    damage(&file, "\"name\":\"b1\"", 0,
           "\"name\":\"0123456789012345678901234567890123456789012345678901234567890\"", "name");
    damage(&file, "\"type\":\"header\"", 1, "\"type\":\"header\",\"n_prompt\":1", ":");
    damage(&file, "\"fingerprint\":\"", 1, "\"fingerprint\":\"0", "different models");
    damage(&file, "{\"type\":\"closing\"", 0, "{\"type\":\"node\"", "expected step or closing");
    /* Cut anywhere: refused, never half a tree. */
    for (size_t n = 0; n < file.len; n += 1 + file.len / 200) {
        tree_file *f;
        write_bytes(other, file.data, n);
        if (!CHECK(tree_load(&f, other, &e))) tree_file_close(f);
    }
    strbuf_release(&file);
    tree_release(&t);
    close_run(&r);
}

/* The folder of a checkpoint may be called anything; its name goes into the header, which is read strictly.
 */
static void test_model_name(void **state) {
    (void)state;
    char at[4096], odd[80];
    model m;
    err e = {0};
    replay *r;
    CHECK(realpath("tests/vectors/llada", at));
    snprintf(odd, sizeof odd, "%s/a\tb\xc2\x85\xff", dir);
    CHECK(!symlink(at, odd));
    MUST(model_open(&m, odd, NULL, &e), &e);
    CHECK(!strcmp(denoiser_get_info(m.d)->name, "a?b??"));
    run one = open_run();
    traj_header h = one.t.head;
    trajectory t;
    snprintf(h.model_name, sizeof h.model_name, "%s", denoiser_get_info(m.d)->name);
    MUST(trajectory_init(&t, &h, model_texts(&m), &e), &e);
    MUST(replay_save(&t, other, &e), &e);
    MUST(replay_load(&r, other, &e), &e);
    replay_close(r);
    trajectory_release(&t);
    close_run(&one);
    model_close(&m);
    unlink(odd);
}

/* Random bytes changed: accepted or refused, never worse. */
static void test_fuzz(void **state) {
    (void)state;
    run r = open_run();
    tree t = {0};
    const tree *trees[1] = {&t};
    err e = {0};
    strbuf file;
    grow(&r, &t);
    MUST(tree_save(trees, 1, path, &e), &e);
    read_bytes(&file, path);
    uint32_t x = 81731;
    for (int round = 0; round < 300; round++) {
        tree_file *f;
        size_t at[3];
        char was[3];
        for (int i = 0; i < 3; i++) {
            x = x * 1664525u + 1013904223u;
            at[i] = (x >> 4) % file.len;
            was[i] = file.data[at[i]];
            file.data[at[i]] = "0123456789,:{}[]\"-ent"[(x >> 24) % 21];
        }
        write_bytes(other, file.data, file.len);
        if (!tree_load(&f, other, &e)) tree_file_close(f);
        for (int i = 2; i >= 0; i--) file.data[at[i]] = was[i];
    }
    CHECK(true);
    strbuf_release(&file);
    tree_release(&t);
    close_run(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damages),
        cmocka_unit_test(test_fuzz), cmocka_unit_test(test_model_name),
    };
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.jsonl", dir);
    snprintf(other, sizeof other, "%s/b.jsonl", dir);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(other);
    rmdir(dir);
    return finish("tree", rc);
}

/* export_json.c - a trajectory as one JSON document: the lines of its file, in one object. */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "replay/export_impl.h"
#include "replay/format.h"

int export_write_json(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e) {
    (void)n, (void)o;
    return replay_export_json(runs[0], out, e);
}

static int put(strbuf *out, json_out *o, cJSON *obj, const char *extra, err *e) {
    int rc = json_out_check(o, "export", e);
    if (!rc) rc = json_put_object(out, obj, extra, e);
    cJSON_Delete(obj);
    return rc;
}

int replay_export_json(const trajectory *t, strbuf *out, err *e) {
    const struct replay_texts *kept = replay_kept(t->texts);
    text_log log = {
        .texts = t->texts, .n_vocab = t->head.n_vocab, .seen = mem_new((size_t)t->head.n_vocab, 1)};
    json_out o = {0};
    if (!log.seen) return err_set(e, ERR_NO_MEMORY, "export: out of memory");
    strbuf_puts(out, "{\n\"header\": ");
    int rc = put(out, &o, format_header(&o, &t->head, &log), kept ? kept->header_extra : NULL, e);
    strbuf_puts(out, ",\n\"steps\": [");
    for (int i = 0; i < t->n_records && !rc; i++) {
        strbuf_puts(out, i ? ",\n" : "\n");
        rc = put(out, &o, format_step(&o, t->records[i], &log), t->records[i]->extra_json, e);
    }
    strbuf_puts(out, "\n],\n\"closing\": ");
    if (!rc) rc = put(out, &o, format_closing(&o, t), kept ? kept->closing_extra : NULL, e);
    strbuf_puts(out, "\n}\n");
    free(log.seen);
    if (!rc) rc = export_check(out, e);
    return rc;
}

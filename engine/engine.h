/* engine.h - what decoding is: checkpoint -> denoiser -> session -> step record.
 *
 * The one header other rooms include. No terminal, no files of results.
 *
 *     model m;  session *s;  const step_record *r;  err e = {0};
 *     if (model_open(&m, "examples/models/sudoku", NULL, &e)) return report(&e);
 *     session_opts o = {.prompt = ids, .n_prompt = n, .length = 0, .policy = policy_find("boe")};
 *     policy_defaults(o.policy, &m.tuning, &o.params);
 *     if (session_open(&s, m.d, &o, &e)) return report(&e);
 *     while (!session_propose(s, &r, &e) && r) { session_commit(s, r, &e); record_unref(r); }
 *     session_close(s);  model_close(&m);
 *
 * Threads: a denoiser and its sessions belong to one thread at a time; step records may be read by any.
 */
#ifndef TABES_ENGINE_H
#define TABES_ENGINE_H

#include "engine/denoiser.h"
#include "engine/inspect.h"
#include "engine/intervene.h"
#include "engine/model.h"
#include "engine/policy.h"
#include "engine/record.h"
#include "engine/score.h"
#include "engine/session.h"
#include "engine/session_batch.h"
#include "engine/shared_pass.h"
#include "engine/tokenizer.h"
#include "engine/trajectory.h"

#endif

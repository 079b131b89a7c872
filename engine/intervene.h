/* intervene.h - what a person does to a decode, as step records.
 *
 * Each makes the record that leads from state n of a trajectory to the next one, checks it, and changes
 * nothing; append it to the trajectory and commit it to the session like any other step. The caller
 * releases *out. ERR_BAD_ARGUMENT says what is wrong with the request.
 *
 *     intervene_write(&r, t, n, &(step_write){.pos = 7, .token = 42}, 1, &e);
 *     trajectory_append(t, r, &e);  session_commit(s, r, &e);  record_unref(r);
 */
#ifndef TABES_INTERVENE_H
#define TABES_INTERVENE_H

#include "engine/denoiser.h"
#include "engine/trajectory.h"

/* Tokens at positions, masked or not. `p` and `score` of the writes are kept as given. */
int intervene_write(step_record **out, const trajectory *t, int n, const step_write *writes, int n_writes,
                    err *e) MUST_CHECK;

/* Written positions put back to the mask; positions of the prompt too. Pinned ones are refused. */
int intervene_remask(step_record **out, const trajectory *t, int n, const int *pos, int n_pos,
                     err *e) MUST_CHECK;

/* How the decode goes on: policy, parameters, bans, pins. T is worked out here. info: of the model. */
int intervene_setting(step_record **out, const trajectory *t, int n, const step_setting *to,
                      const denoiser_info *info, err *e) MUST_CHECK;

/* What holds at state n, header's policy and parameters included; bans and pins are borrowed. */
step_setting intervene_current(const trajectory *t, int n);

/* Adds or takes away one ban or pin of `s`, whose arrays must come from here; they live in `mem`. */
int setting_toggle_ban(step_setting *s, step_ban ban, arena *mem, err *e) MUST_CHECK;
int setting_toggle_pin(step_setting *s, int pos, arena *mem, err *e) MUST_CHECK;
bool setting_has_ban(const step_setting *s, step_ban ban);
bool setting_has_pin(const step_setting *s, int pos);

/* What record r, made under this setting, would write at a masked position: what it does write, or else the
 * most probable token that is not banned there. id -1: not known, since those listed are banned. */
token_prob setting_proposes(const step_setting *s, const step_record *r, int pos);

#endif

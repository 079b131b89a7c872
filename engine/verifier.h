/* verifier.h - whether a token at a position can be right, as far as rules that need no model tell (the
 * paper's "verifier-aware" future work, Appendix A.5.3).
 *
 * Sudoku: the sequence holds 81 or 16 cells, masks or single digits, in reading order; a digit that stands
 * already in the same row, column or box is wrong. Arithmetic: equations such as "6*7=42" whose characters
 * are all known once the token is written are right or wrong.
 */
#ifndef TABES_VERIFIER_H
#define TABES_VERIFIER_H

#include "engine/texts.h"

typedef enum verify_rules { VERIFY_AUTO, VERIFY_SUDOKU, VERIFY_ARITHMETIC } verify_rules;

/* -1: wrong, 1: right (an equation that holds), 0: the rules do not say. AUTO: Sudoku where there are the
 * cells of one, else arithmetic. tokens[n] with `mask` where nothing is known. */
int verify_token(verify_rules v, token_texts texts, const int32_t *tokens, int n, int32_t mask, int pos,
                 int32_t token);

#endif

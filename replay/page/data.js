'use strict';
/* data.js - the recordings as the page needs them: states, and what the policy knew at each. Nothing here draws.
 *
 * State 0 is the start; step k (from 0) leads from state k to state k+1. Lists of a step are about its masked
 * positions, which follow from the state; candidates are indices into them, or 1 when all are candidates. */

const DATA = JSON.parse(document.getElementById('recording').textContent);

function positionsOf(tokens, id) {
    const out = [];
    tokens.forEach((t, pos) => { if (t === id) out.push(pos); });
    return out;
}

/* Where each position's part of a step's candidate tokens begins. */
function offsetsOf(lengths) {
    const out = [0];
    for (const n of lengths) out.push(out[out.length - 1] + n);
    return out;
}

/* Calls f(pos, token, probability, rank) for each write of a step. */
function eachWrite(step, f) {
    for (let i = 0; i < step.w.length; i += 3) f(step.w[i], step.w[i + 1], step.w[i + 2] * DATA.unit.p, i / 3);
}

/* How many positions a step puts back to the mask, and how many tokens it writes. */
function countBack(run, step) {
    let n = 0;
    eachWrite(step, (pos, token) => { n += token === run.mask; });
    return n;
}

function countWritten(run, step) {
    return step.w.length / 3 - countBack(run, step);
}

function prepareRun(raw, index) {
    const run = {...raw, index, letter: 'AB'[index], n: raw.start.length, last: raw.steps.length};
    run.known = raw.pending ? [...raw.steps, raw.pending] : raw.steps;
    const tokens = Int32Array.from(raw.start);
    let nfe = 0, rows = 0, ms = 0;
    for (const step of run.known) {
        step.masked = positionsOf(tokens, run.mask);
        step.offsets = step.k ? offsetsOf(step.k) : null;
        step.sum = {nfe: nfe += step.nfe, rows: rows += step.rows, ms: ms += step.ms};
        eachWrite(step, (pos, token) => { tokens[pos] = token; });
    }
    return run;
}

/* Index of a value in an ascending list, or -1. */
function find(list, value) {
    let low = 0, high = list.length;
    while (low < high) {
        const mid = (low + high) >> 1;
        if (list[mid] < value) low = mid + 1; else high = mid;
    }
    return list[low] === value ? low : -1;
}

/* Tokens of state n; per position the step, rank and probability with which it was written, its place in the
 * order of writing, and the step that put it back to the mask (-1: none). The last state asked for is kept. */
function stateOf(run, n) {
    n = Math.min(n, run.last);
    if (run.kept && run.kept.n === n) return run.kept;
    const none = () => new Int32Array(run.n).fill(-1);
    const s = {n, tokens: Int32Array.from(run.start), step: none(), rank: none(), back: none(), order: new Int32Array(run.n),
        p: new Float64Array(run.n)};
    for (let k = 0; k < n; k++) {
        eachWrite(run.steps[k], (pos, token, p, rank) => {
            s.tokens[pos] = token;
            const masked = token === run.mask;
            s.step[pos] = masked ? -1 : k;
            s.rank[pos] = masked ? -1 : rank;
            s.back[pos] = masked ? k : -1;
            s.p[pos] = p;
        });
    }
    numberWrites(run, s);
    s.masked = positionsOf(s.tokens, run.mask);
    run.kept = s;
    return s;
}

function numberWrites(run, s) {
    let count = 0;
    for (let k = 0; k < s.n; k++) {
        eachWrite(run.steps[k], pos => {
            if (s.step[pos] === k && !s.order[pos]) s.order[pos] = ++count;
        });
    }
    s.written = count;
}

/* What was known about a position: now while it is masked, and just before it was written once it is. Null for the
 * prompt and where the run has ended. `index` is that of the position among the masked ones, -1 when it was none. */
function knownAt(run, s, pos) {
    const masked = s.tokens[pos] === run.mask, k = masked ? s.n : s.step[pos];
    const step = k >= 0 ? run.known[k] : null;
    return step ? {step, k, index: find(step.masked, pos), past: !masked} : null;
}

/* Index of a masked position among the candidates (or in another such list), or -1. */
function candidateIndex(list, index) {
    if (index < 0 || list === undefined) return -1;
    return list === 1 ? index : find(list, index);
}

/* One number stands for a list of equals. */
function item(list, i) {
    return Array.isArray(list) ? list[i] : list;
}

function tisOf(step, index) {
    const c = candidateIndex(step.cand, index);
    if (step.tis !== undefined) return c < 0 ? null : item(step.tis, c);
    const seen = candidateIndex(step.seen, index);
    return seen < 0 ? null : item(step.seenTis, seen);
}

/* Value of a position in a colouring, or null. */
function valueAt(run, s, pos, color) {
    if (color === 'plain') return null;
    if (color === 'order') return s.order[pos] || null;
    const known = knownAt(run, s, pos);
    if (!known) return null;
    const {step, index, past} = known;
    if (color === 'confidence' && past) return s.p[pos] > 0 || index >= 0 ? s.p[pos] : null;
    if (index < 0) return null;
    if (color === 'entropy') return step.h ? step.h[index] * DATA.unit.nats : null;
    if (color === 'confidence') return step.c ? step.c[index] * DATA.unit.p : null;
    return tisOf(step, index);
}

/* The same value's place on its ramp, from 0 to 1. */
function onRamp(color, value) {
    const {entropy, tis, order} = DATA.scale;
    const x = color === 'entropy' ? value / entropy
        : color === 'tis' ? (tis > 0 ? 0.5 + 0.5 * value / tis : 0.5)
        : color === 'order' ? (order > 1 ? (value - 1) / (order - 1) : 0)
        : value;
    return Math.min(1, Math.max(0, x));
}

/* Likeliest tokens of a masked position, best first. */
function topOf(step, index) {
    if (!step.offsets || index < 0) return [];
    const out = [];
    for (let i = step.offsets[index]; i < step.offsets[index + 1]; i++) out.push({id: step.ti[i], p: step.tp[i] * DATA.unit.p});
    return out;
}

/* Place of candidate c among all by score, from 1; ties go to the lower position. */
function rankOf(step, c) {
    const n = step.cand === 1 ? step.masked.length : step.cand.length, own = item(step.score, c);
    let rank = 1;
    for (let i = 0; i < n; i++) {
        const other = item(step.score, i);
        if (other > own || (i < c && other >= own)) rank++;
    }
    return {rank, n};
}

/* What holds at state n: that of the last change a person made before, or what the run began with. */
function settingAt(run, n) {
    for (let k = Math.min(n, run.last) - 1; k >= 0; k--) {
        if (run.steps[k].set) return run.steps[k].set;
    }
    return {policy: run.policy, params: run.params, pins: [], bans: []};
}

/* Mean entropy of the masked positions at each state; 0 where none is left, null where it is not known. */
function meansOf(run) {
    const out = run.known.map(step => step.mean ?? null);
    if (!run.pending) out.push(run.complete ? 0 : null);
    return out;
}

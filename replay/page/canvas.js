/* canvas.js - the tokens of one state, one element per position. A redraw touches only what changed, so that
 * scrubbing through thousands of positions stays smooth. */

const dark = window.matchMedia('(prefers-color-scheme: dark)');

/* Ramps ----------------------------------------------------------------- */

function channels(hex) {
    return [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
}

function luminance(rgb) {
    const [r, g, b] = rgb.map(v => v / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/* {fill, ink} of a place on a ramp; the ink has the better contrast of black and white. */
function shade(stops, x) {
    const at = x * (stops.length - 1), i = Math.min(Math.floor(at), stops.length - 2), f = at - i;
    const a = channels(stops[i]), b = channels(stops[i + 1]);
    const rgb = a.map((v, c) => Math.round(v * (1 - f) + b[c] * f));
    const l = luminance(rgb) + 0.05;
    return {fill: `rgb(${rgb.join(' ')})`, ink: l / 0.05 > 1.05 / l ? '#000' : '#fff'};
}

function coloringOf(name) {
    return DATA.colors.find(c => c.name === name);
}

function stopsOf(name) {
    return coloringOf(name)[dark.matches ? 'dark' : 'light'];
}

const shades = new Map();

/* The same in 256 steps, computed once. */
function shadeOf(color, value) {
    const x = Math.round(255 * onRamp(color, value)), key = `${color} ${x} ${dark.matches}`;
    if (!shades.has(key)) shades.set(key, shade(stopsOf(color), x / 255));
    return shades.get(key);
}

/* Slots ----------------------------------------------------------------- */

/* A grid when every token is one narrow character and lines end: then columns line up. */
function isGrid(run) {
    const ids = new Set(run.start);
    for (const step of run.steps) eachWrite(step, (pos, token) => ids.add(token));
    ids.delete(run.mask);
    let lines = false;
    for (const id of ids) {
        const {special, pieces} = textOf(run, id);
        if (special) continue;
        const [kind, t] = pieces.length === 1 ? pieces[0] : [null, ''];
        if (kind !== NEWLINE && (kind !== TEXT || t.length !== 1 || t >= '\u1100')) return false;
        lines ||= kind === NEWLINE;
    }
    return lines && longestLine(run) <= 40;
}

function longestLine(run) {
    let line = 0, longest = 0;
    for (const id of run.start) {
        const t = textOf(run, id);
        line = id !== run.mask && t.pieces[0] && t.pieces[0][0] === NEWLINE ? 0 : line + 1;
        longest = Math.max(longest, line);
    }
    return longest;
}

function makeCanvas(run) {
    const canvas = el('div', isGrid(run) ? 'canvas grid' : 'canvas flow');
    run.slots = Array.from({length: run.n}, (_, pos) => {
        const slot = el('span', 'tok');
        slot.dataset.i = pos;
        return slot;
    });
    run.drawn = new Array(run.n).fill('');
    run.canvas = canvas;
    for (const slot of run.slots) canvas.append(slot);
    if (canvas.classList.contains('grid')) breakAfterLead(run);
    return canvas;
}

/* What a position is in this state, as classes. */
function classesOf(run, s, pos, next, pins) {
    const id = s.tokens[pos], masked = id === run.mask, out = ['tok'];
    if (pins.has(pos)) out.push('pinned');
    if (masked) {
        const step = run.known[s.n];
        out.push('masked');
        if (step && candidateIndex(step.cand, find(step.masked, pos)) >= 0) out.push('candidate');
        if (next.has(pos)) out.push('next');
        if (s.back[pos] >= 0) out.push('back');
        if (s.back[pos] === s.n - 1 && s.n > 0) out.push('fresh');
        return out;
    }
    const text = textOf(run, id);
    if (s.step[pos] < 0) out.push('prompt');
    else if (s.step[pos] === s.n - 1) out.push('fresh');
    if (s.step[pos] >= 0 && run.steps[s.step[pos]].kind === 'force') out.push('hand');
    if (text.special) out.push('special');
    if (text.special && pos > 0 && s.tokens[pos - 1] === id) out.push('again');
    if (text.pieces.some(p => p[0] === NEWLINE)) out.push('newline');
    return out;
}

/* The sign of a masked position repeats what colour says. */
function maskSign(classes, color, value) {
    if (color === 'tis') return value === null ? '·' : value > 0 ? '+' : value < 0 ? '−' : '0';
    return classes.includes('next') ? '▓' : classes.includes('candidate') ? '▒' : '░';
}

function fillSlot(slot, run, id, pieces, sign) {
    slot.replaceChildren();
    if (id === run.mask) slot.append(sign);
    else if (!slot.classList.contains('again')) slot.append(...pieces.flatMap(pieceNodes));
}

/* In a grid special tokens in front have a line of their own, so that the rows below stay aligned. */
function breakAfterLead(run) {
    let n = 0;
    while (n < run.n && run.start[n] !== run.mask && textOf(run, run.start[n]).special) n++;
    if (n && n < run.n) run.slots[n - 1].after(document.createElement('br'));
}

function paintSlot(slot, shaded) {
    if (shaded) {
        slot.style.setProperty('--fill', shaded.fill);
        slot.style.setProperty('--on', shaded.ink);
    } else {
        slot.style.removeProperty('--fill');
        slot.style.removeProperty('--on');
    }
}

function drawSlot(run, s, pos, view, next, joined, pins) {
    const id = s.tokens[pos], classes = classesOf(run, s, pos, next, pins), value = valueAt(run, s, pos, view.color);
    const masked = id === run.mask, sign = masked ? maskSign(classes, view.color, value) : '';
    const shaded = value === null ? null : shadeOf(view.color, value), pieces = joined.get(pos) || textOf(run, id).pieces;
    if (shaded) classes.push(masked || view.color === 'order' ? 'lit' : 'was');
    if (view.differs.has(pos)) classes.push('differs');
    if (!masked && !pieces.length) classes.push('empty');
    const order = view.color === 'order' && s.order[pos] ? String(s.order[pos]) : '';
    const key = [id, sign, order, shaded && shaded.fill, pieces.join(), ...classes].join('\u0001');
    if (run.drawn[pos] === key) return;
    run.drawn[pos] = key;
    const slot = run.slots[pos];
    slot.className = classes.join(' ');
    fillSlot(slot, run, id, pieces, sign);
    paintSlot(slot, shaded);
    if (order) slot.dataset.order = order; else delete slot.dataset.order;
}

function drawCanvas(run, view) {
    const s = stateOf(run, view.at), next = new Set(), joined = joinBytes(run, s), pins = new Set(settingAt(run, s.n).pins);
    if (run.known[s.n]) eachWrite(run.known[s.n], pos => next.add(pos));
    for (let pos = 0; pos < run.n; pos++) drawSlot(run, s, pos, view, next, joined, pins);
}

/* Positions where both runs have written, and differently. */
function differencesAt(runs, at) {
    const out = new Set();
    if (runs.length < 2) return out;
    const [a, b] = runs, sa = stateOf(a, at), sb = stateOf(b, at), oneModel = a.fingerprint === b.fingerprint;
    for (let pos = 0; pos < Math.min(a.n, b.n); pos++) {
        const x = sa.tokens[pos], y = sb.tokens[pos];
        if (x === a.mask || y === b.mask || (oneModel && x === y)) continue;
        if (oneModel || labelOf(a, x) !== labelOf(b, y)) out.add(pos);
    }
    return out;
}

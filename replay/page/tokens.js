/* tokens.js - token texts as pieces and as nodes. Texts arrive harmless (no control or direction characters);
 * only characters that were split between tokens are put together here, and those are filtered again. */

const NEWLINE = 'n', BYTES = 'b', MARK = 'm', TEXT = 't';

/* {special, pieces: [[kind, text], ...]} */
function textOf(run, id) {
    const t = run.texts[id];
    if (t === undefined) return {special: true, pieces: [[TEXT, '#' + id]]};
    return typeof t === 'string' ? {special: false, pieces: [[TEXT, t]]} : {special: !!t.s, pieces: t.p};
}

/* A kind's visible spelling: bytes that stay alone are shown as <E2>. */
function spell(kind, text) {
    return kind === BYTES ? text.replace(/../g, '<$&>') : text;
}

/* One line for tables and sentences: blanks as a middle dot. */
function labelOf(run, id) {
    if (id === run.mask) return '<mask>';
    const text = textOf(run, id).pieces.map(([kind, t]) => spell(kind, t).replace(/ /g, '·')).join('');
    return text === '' ? '(empty)' : text;
}

const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\uFE00-\uFE0F\u{E0000}-\u{E0FFF}]/u;

/* [text, bytes used] of the character at the start of hexadecimal digits, or null. */
function decodeOne(hex) {
    const lead = parseInt(hex.slice(0, 2), 16), n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    const bytes = hex.slice(0, 2 * n).match(/../g).map(b => parseInt(b, 16));
    if (bytes.length < n) return null;
    try {
        const text = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(new Uint8Array(bytes));
        const code = text.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
        return [UNSAFE.test(text) ? [MARK, `<U+${code}>`] : [TEXT, text], n];
    } catch {
        return null;
    }
}

/* Where tokens before and after a position hold the parts of one character: a map from position to the pieces shown
 * there. The token with the first byte shows the character, the others show nothing. */
function joinBytes(run, s) {
    const shown = new Map();
    if (run.split === undefined) run.split = Object.values(run.texts).some(t => typeof t !== 'string' && t.p.some(p => p[0] === BYTES));
    if (!run.split) return shown;
    const texts = Array.from(s.tokens, id => id === run.mask ? null : textOf(run, id));
    for (let pos = 0; pos < run.n; pos++) {
        const pieces = shown.get(pos) || (texts[pos] && !texts[pos].special ? texts[pos].pieces : null);
        if (pieces && pieces.length && pieces[pieces.length - 1][0] === BYTES) joinAt(texts, shown, pos, pieces);
    }
    return shown;
}

function joinAt(texts, shown, pos, pieces) {
    let hex = pieces[pieces.length - 1][1], end = pos;
    const taken = [];
    while (hex.length < 8 && texts[end + 1] && !texts[end + 1].special && texts[end + 1].pieces.length && texts[end + 1].pieces[0][0] === BYTES) {
        hex += texts[++end].pieces[0][1];
        taken.push(end);
        if (texts[end].pieces.length > 1) break;
    }
    const one = taken.length ? decodeOne(hex) : null;
    const own = pieces[pieces.length - 1][1].length / 2;
    if (!one || one[1] <= own) return;
    let left = one[1] - own;
    shown.set(pos, [...pieces.slice(0, -1), one[0]]);
    for (const at of taken) {
        const [, first] = texts[at].pieces[0], used = Math.min(left, first.length / 2);
        const rest = first.slice(2 * used);
        shown.set(at, [...(rest ? [[BYTES, rest]] : []), ...texts[at].pieces.slice(1)]);
        left -= used;
    }
}

/* An element with a class and children; strings become text, never markup. */
function el(tag, className, ...children) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    e.append(...children.filter(c => c !== null && c !== undefined));
    return e;
}

/* Blanks stay blanks, so that copied text is right; a faint dot is drawn behind each. */
function blankNodes(text) {
    return text.split(/( )/).filter(t => t !== '').map(t => t === ' ' ? el('span', 'sp', ' ') : t);
}

function pieceNodes([kind, text]) {
    if (kind === TEXT) return blankNodes(text);
    if (kind === NEWLINE) return [el('span', 'nl', text), document.createElement('br')];
    return [el('span', 'mark', spell(kind, text))];
}

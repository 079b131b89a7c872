/* inspector.js - everything known about one position, in every run. */

function percent(p) {
    return p >= 0.99995 || p === 0 ? p.toFixed(2) : p >= 0.001 ? p.toFixed(3) : p.toExponential(1);
}

function signed(v) {
    return v === null ? '?' : (v > 0 ? '+' : v < 0 ? '−' : '') + number(Math.abs(v));
}

/* One line of what happened to the position. */
function historyOf(run, s, pos) {
    if (s.tokens[pos] === run.mask) {
        if (s.back[pos] >= 0) return `put back to the mask in step ${s.back[pos] + 1}`;
        return pos < run.prompt ? 'masked, a blank in the prompt' : 'masked';
    }
    if (s.step[pos] < 0) return 'part of the prompt';
    const step = run.steps[s.step[pos]], n = countWritten(run, step);
    if (step.kind === 'force') return `written by a person in step ${s.step[pos] + 1}`;
    return `written in step ${s.step[pos] + 1}` + (n > 1 ? `, ranked ${s.rank[pos] + 1} of ${n}` : '');
}

function factRow(list, label, value, help) {
    const dt = el('dt', '', label);
    if (help) dt.title = help;
    list.append(dt, el('dd', '', ...[value].flat()));
}

/* A value with a bar of its share of the most there can be. */
function withBar(text, share) {
    const bar = el('span', 'meter', el('i'));
    bar.firstChild.style.width = 100 * Math.min(1, Math.max(0, share)) + '%';
    return [text, bar];
}

function scoreRows(list, step, index) {
    const c = candidateIndex(step.cand, index), tis = tisOf(step, index);
    factRow(list, 'TIS', tis === null ? '· not scored' : `${signed(tis)} nats`, 'token importance score: expected fall of the entropy when this is written');
    if (c < 0) {
        factRow(list, 'candidate', 'no');
        return;
    }
    if (step.gate !== undefined) factRow(list, 'gate', number(item(step.gate, c)), 'near 1 when the position is nearly certain');
    if (step.pen !== undefined) factRow(list, 'penalty', number(item(step.pen, c)), 'holds back positions that are certain too early');
    if (step.score === undefined) return;
    const {rank, n} = rankOf(step, c);
    factRow(list, 'score', signed(item(step.score, c)), step.gate !== undefined ? 'gate × TIS − penalty' : 'what the policy ranks by');
    factRow(list, 'rank', `${rank} of ${n}`, 'among the candidates, by score');
}

function knownRows(known) {
    const {step, index} = known, list = el('dl', 'facts'), {nats, p} = DATA.unit;
    if (step.h) {
        const h = step.h[index] * nats;
        factRow(list, 'entropy', withBar(`${h > 0 && h < 0.0005 ? '< 0.001' : h.toFixed(3)} nats`, h / DATA.scale.entropy), `${Math.round(100 * h / DATA.scale.entropy)} % of the maximum`);
    }
    if (step.c) factRow(list, 'confidence', withBar(percent(step.c[index] * p), step.c[index] * p), 'probability of the likeliest token');
    if (step.m) factRow(list, 'margin', percent(step.m[index] * p), 'distance of the two likeliest tokens');
    scoreRows(list, step, index);
    return list;
}

/* Tokens that matter; the tail of next to nothing is only counted. */
function topRows(run, known, chosen) {
    const list = el('ol', 'top'), all = topOf(known.step, known.index);
    const shown = all.filter((t, i) => i === 0 || t.p >= 0.001 || t.id === chosen);
    for (const {id, p} of shown) {
        const row = el('li', id === chosen ? 'chosen' : '', el('span', 'word', labelOf(run, id)), el('span', 'id', String(id)),
            el('span', 'bar', el('i')), el('span', 'p', percent(p)));
        row.querySelector('i').style.width = 100 * p + '%';
        list.append(row);
    }
    if (all.length > shown.length) list.append(el('li', 'more', `${all.length - shown.length} more below 0.001`));
    return list;
}

/* Entropy of the position at every state at which it was masked. */
function entropyCurve(run, s, pos) {
    const values = run.known.map(step => {
        const i = step.h ? find(step.masked, pos) : -1;
        return i < 0 ? null : step.h[i] * DATA.unit.nats;
    });
    const top = largest(values);
    if (values.filter(v => v !== null).length < 2 || top < 0.001) return null;
    const cursor = el('div', 'cursor');
    cursor.style.left = 100 * s.n / Math.max(1, values.length - 1) + '%';
    if (s.n > values.length - 1) cursor.hidden = true;
    return el('div', 'curve', el('span', 'label', `its entropy by state, 0 to ${number(top)} nats`),
        el('div', 'plot', plot(curve(values, top, 'run' + 'ab'[run.index])), cursor));
}

function whenKnown(known) {
    if (!known.past) return known.step.w.length ? `what the policy sees before step ${known.k + 1}` : 'what the policy sees now';
    return `what was known just before step ${known.k + 1}`;
}

/* What a person has ruled about the position. */
function heldWords(run, s, pos) {
    const {pins, bans} = settingAt(run, s.n), out = pins.includes(pos) ? ['pinned: it stays as it is'] : [];
    const here = bans.filter(([at]) => at === pos || at === -1).map(([, id]) => labelOf(run, id));
    if (here.length) out.push(`may not become ${here.join(', ')}`);
    return out.join(' · ');
}

function inspectRun(run, view, many) {
    const s = stateOf(run, view.at), pos = view.pos, block = el('section', 'about-token run' + 'ab'[run.index]);
    if (many) block.append(el('h3', '', el('b', 'badge', run.letter), run.policy));
    if (pos >= run.n) {
        block.append(el('p', 'quiet', 'This run has no such position.'));
        return block;
    }
    const id = s.tokens[pos], masked = id === run.mask;
    block.append(el('p', 'what', el('span', masked ? 'big tok masked' : 'big', masked ? '░' : labelOf(run, id)),
        el('span', 'quiet', masked ? historyOf(run, s, pos) : `id ${id} · ${historyOf(run, s, pos)}`)));
    const held = heldWords(run, s, pos);
    if (held) block.append(el('p', 'quiet', held));
    const known = knownAt(run, s, pos);
    if (!known || known.index < 0) {
        if (s.step[pos] >= 0) block.append(el('p', 'quiet', 'Nothing is recorded about the choice.'));
        return block;
    }
    block.append(el('p', 'when', whenKnown(known)), knownRows(known), topRows(run, known, known.past ? id : -1));
    const history = entropyCurve(run, s, pos);
    if (history) block.append(history);
    return block;
}

function drawInspector(runs, view) {
    const box = document.getElementById('inspector');
    if (view.pos === null) {
        box.replaceChildren(el('h2', '', 'Inspector'),
            el('p', 'quiet', 'Point at a token to see what the policy knew about it; click to keep it while you step.'));
        return;
    }
    box.replaceChildren(el('h2', '', `Position ${view.pos}`, view.pinned === null ? null : el('span', 'pin', 'kept (Esc)')),
        ...runs.map(run => inspectRun(run, view, runs.length > 1)));
}

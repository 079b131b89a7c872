/* charts.js - the timeline above the slider, the small curves of the inspector, and the legend. */

/* The namespace, asked of a picture that the page has: so the file names no address at all. */
const SVG = document.querySelector('svg').namespaceURI;

function svg(tag, attributes, ...children) {
    const e = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
    e.append(...children);
    return e;
}

/* Three significant digits, without an exponent where one can read it. */
function number(v, digits = 3) {
    if (v === null || v === undefined) return '?';
    if (v === 0) return '0';
    const a = Math.abs(v);
    if (a >= 1000) return Math.round(v).toLocaleString('en');
    return a >= 0.0005 ? String(Number(v.toPrecision(digits))) : v.toExponential(1);
}

/* The largest of many numbers and nulls, at least 0. */
function largest(values) {
    return values.reduce((top, v) => v > top ? v : top, 0);
}

/* A polyline in a box of 100 x 100 that is stretched to its place; nulls leave gaps, or are bridged. */
function curve(values, top, className, bridged = false) {
    const step = 100 / Math.max(1, values.length - 1), group = svg('g', {class: className});
    let points = [];
    const flush = () => {
        if (points.length === 1) points.push(points[0]);
        if (points.length) group.append(svg('polyline', {points: points.join(' '), 'vector-effect': 'non-scaling-stroke'}));
        points = [];
    };
    values.forEach((v, i) => {
        if (v === null) { if (!bridged) flush(); }
        else points.push(`${(i * step).toFixed(2)},${(96 - 92 * v / (top || 1)).toFixed(2)}`);
    });
    flush();
    return group;
}

function plot(...groups) {
    return svg('svg', {viewBox: '0 0 100 100', preserveAspectRatio: 'none'}, ...groups);
}

/* Mean entropy by state for every run, on one scale; the slider below has the same width. */
function makeChart(runs, last) {
    const means = runs.map(meansOf), top = largest(means.flat());
    /* A run that ended earlier stands still. */
    const full = means.map(m => Array.from({length: last + 1}, (_, i) => i < m.length ? m[i] : m[m.length - 1]));
    const chart = document.getElementById('chart');
    chart.replaceChildren(el('div', 'top-of-scale', `${number(top)} nats`),
        plot(...full.map((m, i) => curve(m, top, 'run' + 'ab'[i], true))), el('div', 'cursor'));
    runs.forEach(run => run.steps.forEach((step, k) => {
        if (step.kind !== 'decode' || step.note !== undefined) chart.append(makeTick(step, k, last));
        else if (countBack(run, step)) chart.append(makeTick({kind: 'back'}, k, last));
    }));
}

/* Where a person came in, or the policy put tokens back. */
function makeTick(step, k, last) {
    const kinds = {decode: ['¶', ''], back: ['↺', 'the policy put tokens back'], force: ['✎', 'a person wrote tokens'], remask: ['↺', 'a person put positions back to the mask'],
        setting: ['◆', 'a person chose how to go on']};
    const [sign, words] = kinds[step.kind], tick = el('span', 'tick', sign);
    tick.style.left = 100 * (k + 1) / Math.max(1, last) + '%';
    tick.title = [`step ${k + 1}`, words, step.note].filter(t => t).join(': ');
    return tick;
}

/* The line at the state shown, and its values. */
function moveChart(runs, at, last) {
    document.querySelector('#chart .cursor').style.left = 100 * at / Math.max(1, last) + '%';
    document.getElementById('means').replaceChildren('mean entropy ', ...runs.map(run => {
        const mean = meansOf(run)[Math.min(at, run.last)] ?? null;
        return el('b', 'run' + 'ab'[run.index], mean === null ? 'not known' : `${number(mean)} nats`);
    }));
}

/* Legend ---------------------------------------------------------------- */

function legendEnds(runs, color) {
    const {entropy, tis, order} = DATA.scale;
    if (color === 'entropy') return ['0', `${number(entropy)} nats = ln ${Math.round(Math.exp(entropy))}`];
    if (color === 'confidence') return ['0', '1'];
    if (color === 'order') return ['first', `last (${order})`];
    return tis > 0 ? [`−${number(tis)}`, `+${number(tis)} nats`] : ['no position', 'is scored'];
}

/* Behind the ramp: what one has to know to read it. */
function legendNote(runs, color) {
    if (color !== 'tis' || !(DATA.scale.tis > 0)) return color === 'order' ? 'also as a small number' : '';
    const names = [...new Set(runs.flatMap(run => run.known.map(step => step.tisName)).filter(n => n))];
    return `clipped at the 95th percentile of |TIS| · ${names.join(', ')}`;
}

/* The kinds of position that the recordings have, and in a colouring how its colour is put on. */
function drawKeys(runs, color) {
    const kinds = new Set(runs.flatMap(run => run.steps.map(step => step.kind)));
    const key = (cls, text, label) => el('span', 'key', el('b', cls, text), label);
    const signs = color === 'tis' ? ['·', '+', '−'] : ['░', '▒', '▓'];
    const keys = [key('tok prompt', 'a', 'prompt'), key('tok masked', signs[0], color === 'tis' ? 'not scored' : 'masked'),
        color === 'tis' ? null : key('tok masked candidate', signs[1], 'candidate'),
        color === 'tis' ? null : key('tok masked next', signs[2], 'written next'), key('tok fresh', 'a', 'just written'),
        kinds.has('force') ? key('tok hand', 'a', 'written by a person') : null,
        kinds.has('remask') || runs.some(run => run.steps.some(step => countBack(run, step))) ? key('tok masked back', signs[0], 'put back to the mask') : null];
    if (color !== 'plain' && color !== 'order') {
        const middle = stopsOf(color)[stopsOf(color).length - 3];
        const lit = key('tok masked lit', '\u00A0', 'masked: its value now'), was = key('tok was', 'a', 'written: its value just before');
        for (const k of [lit, was]) k.firstChild.style.setProperty('--fill', middle);
        keys.push(lit, was);
    }
    document.getElementById('keys').replaceChildren(...keys.filter(k => k));
}

function drawLegend(runs, color) {
    const legend = document.getElementById('legend'), c = coloringOf(color);
    legend.title = c.help;
    drawKeys(runs, color);
    if (color === 'plain') {
        legend.replaceChildren(el('span', 'note', c.help));
        return;
    }
    const bar = el('span', 'ramp'), [low, high] = legendEnds(runs, color);
    bar.style.background = `linear-gradient(to right, ${stopsOf(color).join(', ')})`;
    legend.replaceChildren(el('span', 'scale', low, bar, high), el('span', 'note', legendNote(runs, color)));
}

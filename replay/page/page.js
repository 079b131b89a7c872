/* page.js - the page's own state (which state is shown, in which colours, at which position), its controls and
 * keys, and the address that remembers it. */

const runs = DATA.runs.map(prepareRun);
const last = Math.max(...runs.map(run => run.last));
const view = {at: 0, color: 'plain', pos: null, pinned: null, differs: new Set()};
const byId = id => document.getElementById(id);
let timer = null;

/* Words ----------------------------------------------------------------- */

function plural(n, one) {
    return `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;
}

/* What a person chose, in a few words. */
function settingWords(set) {
    const given = set.params.filter(p => p[2]).map(([name, value]) => `${name} ${value}`);
    const parts = [set.policy + (given.length ? ` (${given.join(', ')})` : '')];
    if (set.pins.length) parts.push(`${plural(set.pins.length, 'position')} pinned`);
    if (set.bans.length) parts.push(`${plural(set.bans.length, 'token')} banned`);
    return parts.join(', ');
}

/* One sentence about what the step that led here did, one about what comes. */
function storyOf(run, at) {
    const s = stateOf(run, at), did = s.n ? run.steps[s.n - 1] : null, next = run.known[s.n];
    const out = [];
    if (at > run.last) out.push(`This run ended at state ${run.last}.`);
    else if (!did) out.push(`The start: ${plural(s.masked.length, 'position')} masked.`);
    else if (did.kind === 'remask') out.push(`Step ${s.n}: a person put ${plural(did.w.length / 3, 'position')} back to the mask.`);
    else if (did.kind === 'setting') out.push(`Step ${s.n}: a person chose how to go on: ${settingWords(did.set)}.`);
    else if (did.kind === 'force') out.push(`Step ${s.n}: a person wrote ${plural(did.w.length / 3, 'token')}.`);
    else {
        const back = countBack(run, did);
        out.push(`Step ${s.n} wrote ${plural(countWritten(run, did), 'token')}` + (back ? ` and put ${back} back.` : '.'));
    }
    if (at <= run.last && did && did.note !== undefined) out.push(`Note: “${did.note}”`);
    if (!s.masked.length) out.push('Nothing is masked any more.');
    else if (next && next.kind === 'decode') {
        const n = next.cand === 1 ? next.masked.length : (next.cand || []).length;
        out.push(`Of ${plural(s.masked.length, 'masked position')} the policy considers ${n} and will write ${countWritten(run, next)}.`);
    } else if (!next) out.push(`The recording ends with ${plural(s.masked.length, 'position')} masked.`);
    return out.join(' ');
}

function drawStory() {
    const story = byId('story');
    story.replaceChildren(...runs.map(run => el('span', 'run' + 'ab'[run.index],
        runs.length > 1 ? el('b', 'badge', run.letter) : null, storyOf(run, view.at))));
    if (runs.length > 1) story.append(el('span', 'count', `≠ ${plural(view.differs.size, 'position')} differ`.replace('1 position differ', '1 position differs')));
}

/* Each run: a heading, the canvas, what it has cost --------------------------- */

function makeRun(run) {
    run.head = el('h2');
    run.cost = el('p', 'cost');
    return el('section', 'panel run' + 'ab'[run.index], run.head, makeCanvas(run), run.cost);
}

/* The policy that is in force: a person may have changed it on the way. */
function drawHead(run) {
    const {policy, params} = settingAt(run, view.at);
    const given = params.filter(p => p[2]).map(([name, value]) => `${name} ${value}`);
    run.head.replaceChildren(...[runs.length > 1 ? el('b', 'badge', run.letter) : '', policy,
        el('span', 'quiet', ` ${[run.model, ...given].join(' · ')}`)]);
}

function drawCost(run) {
    const s = stateOf(run, view.at), sum = s.n ? run.steps[s.n - 1].sum : {nfe: 0, rows: 0, ms: 0};
    const part = (value, unit, help) => {
        const e = el('span', '', el('b', '', value), ' ' + unit);
        e.title = help;
        return e;
    };
    run.cost.replaceChildren(part(s.written.toLocaleString('en'), 'written', 'positions that hold a written token'),
        part(number(sum.nfe, 4), 'NFE', 'forward passes of the model so far'),
        part(sum.rows.toLocaleString('en'), 'backward rows', 'rows through the backward pass so far'),
        part(sum.ms >= 10000 ? number(sum.ms / 1000) : number(sum.ms), sum.ms >= 10000 ? 's' : 'ms', 'time so far'));
}

/* The table under "The recording". */
function makeFacts() {
    const table = el('table', ''), row = (name, values) => {
        const tr = el('tr', '', el('th', '', name), ...values.map(v => el('td', '', ...[v].flat())));
        table.append(tr);
    };
    const total = run => (run.steps.length ? run.steps[run.last - 1].sum : {nfe: 0, rows: 0, ms: 0});
    if (runs.length > 1) row('', runs.map(run => el('b', 'badge', run.letter)));
    row('model', runs.map(r => `${r.model} (${r.arch}, ${r.dtype}, ${plural(r.vocab, 'token')})`));
    row('policy', runs.map(r => r.policy));
    row('parameters', runs.map(r => r.params.flatMap(([name, value, given]) => [el(given ? 'b' : 'span', 'param', `${name} ${value}`), ' '])));
    row('seed', runs.map(r => r.seed));
    row('device', runs.map(r => `${r.device}, ${r.precision}, ${plural(r.threads, 'thread')}`));
    row('recorded', runs.map(r => r.created));
    row('sequence', runs.map(r => `${plural(r.n, 'position')}, ${r.prompt < r.n ? `the generation begins at ${r.prompt}` : 'the blanks are in the prompt'}`));
    row('steps', runs.map(r => `${r.last}${r.complete ? '' : ', masks are left'}`));
    row('totals', runs.map(r => `${number(total(r).nfe, 4)} NFE, ${total(r).rows.toLocaleString('en')} backward rows, ${number(total(r).ms)} ms`));
    row('fingerprint', runs.map(r => el('code', '', r.fingerprint)));
    byId('facts').append(table, el('p', 'quiet', 'Bold parameters were set by a person; the others are defaults.'));
}

/* Drawing --------------------------------------------------------------- */

function draw() {
    view.differs = differencesAt(runs, view.at);
    for (const run of runs) {
        drawCanvas(run, view);
        drawHead(run);
        drawCost(run);
        markPosition(run);
    }
    byId('scrub').value = view.at;
    byId('scrub').setAttribute('aria-valuetext', `state ${view.at} of ${last}`);
    byId('where').replaceChildren('state ', el('b', '', String(view.at)), ` of ${last}`);
    moveChart(runs, view.at, last);
    drawStory();
    drawInspector(runs, view);
    if (!timer) remember(); /* browsers count how often a page does this */
}

function markPosition(run) {
    if (run.marked) run.marked.classList.remove('cursor');
    run.marked = view.pos === null ? null : run.slots[view.pos];
    if (run.marked) {
        run.marked.classList.add('cursor');
        run.drawn[view.pos] = ''; /* its classes are not those that drawSlot knows */
    }
}

function show(at) {
    view.at = Math.min(last, Math.max(0, at));
    draw();
}

function paint(color) {
    view.color = color;
    for (const b of byId('colors').children) b.setAttribute('aria-pressed', b.dataset.color === color);
    drawLegend(runs, color);
    draw();
}

function point(pos) {
    if (view.pos === pos) return;
    view.pos = pos;
    runs.forEach(markPosition);
    drawInspector(runs, view);
}

function keep(pos) {
    view.pinned = view.pinned === pos ? null : pos;
    view.pos = pos;
    draw();
}

/* Address: #step=3&color=entropy&pos=12 -------------------------------------- */

function remember() {
    const parts = [`step=${view.at}`, `color=${view.color}`];
    if (view.pinned !== null) parts.push(`pos=${view.pinned}`);
    const hash = '#' + parts.join('&');
    if (location.hash === hash) return;
    try {
        history.replaceState(null, '', hash);
    } catch { /* some viewers of local files refuse; the page works without */ }
}

function recall() {
    const asked = new URLSearchParams(location.hash.slice(1)), whole = /^\d{1,9}$/;
    const step = asked.get('step') || '', pos = asked.get('pos') || '', color = asked.get('color');
    if (whole.test(step)) view.at = Math.min(last, Number(step));
    if (step === 'end') view.at = last;
    view.pos = view.pinned = whole.test(pos) && Number(pos) < Math.max(...runs.map(r => r.n)) ? Number(pos) : null;
    paint(coloringOf(color) ? color : view.color);
}

/* Playing --------------------------------------------------------------- */

function pause() {
    clearInterval(timer);
    timer = null;
    document.body.classList.remove('playing');
    byId('play').setAttribute('aria-label', 'play');
    remember();
}

function play() {
    if (view.at >= last) show(0);
    clearInterval(timer);
    timer = setInterval(() => {
        show(view.at + 1);
        if (view.at >= last) pause();
    }, Number(byId('speed').value));
    document.body.classList.add('playing');
    byId('play').setAttribute('aria-label', 'pause');
}

function step(by) {
    pause();
    show(view.at + by);
}

function toggle() {
    if (timer) pause(); else play();
}

/* Keys and clicks ----------------------------------------------------------- */

function move(by) {
    const n = Math.max(...runs.map(r => r.n));
    view.pos = view.pinned = Math.min(n - 1, Math.max(0, view.pos === null ? 0 : view.pos + by));
    draw();
    for (const run of runs) if (run.slots[view.pos]) run.slots[view.pos].scrollIntoView({block: 'nearest'});
}

function letGo() {
    view.pos = view.pinned = null;
    draw();
}

/* The same key again goes back to plain, as in the workbench. */
function recolor(color) {
    paint(view.color === color ? 'plain' : color);
}

const keys = {
    's': () => step(1), 'S': () => step(-1), '.': () => step(1), ',': () => step(-1),
    'ArrowRight': () => step(1), 'ArrowLeft': () => step(-1), 'Home': () => step(-last), 'End': () => step(last), ' ': toggle,
    'l': () => move(1), 'h': () => move(-1), 'Escape': letGo,
    'e': () => recolor('entropy'), '%': () => recolor('confidence'), 't': () => recolor('tis'), 'o': () => recolor('order'),
};

function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) return;
    const at = event.target.tagName;
    if (at === 'SELECT' || (event.key === ' ' && (at === 'BUTTON' || at === 'SUMMARY'))) return;
    event.preventDefault();
    keys[event.key]();
}

function positionUnder(event) {
    const slot = event.target.closest('.canvas [data-i]');
    return slot ? Number(slot.dataset.i) : null;
}

function listen() {
    const on = (id, f) => byId(id).addEventListener('click', f);
    on('first', () => step(-last));
    on('back', () => step(-1));
    on('play', toggle);
    on('forward', () => step(1));
    on('end', () => step(last));
    byId('scrub').addEventListener('input', e => { pause(); show(Number(e.target.value)); });
    byId('speed').addEventListener('change', () => { if (timer) play(); });
    byId('runs').addEventListener('pointerover', e => { if (e.pointerType === 'mouse') point(positionUnder(e) ?? view.pinned); });
    byId('runs').addEventListener('pointerleave', () => point(view.pinned));
    byId('runs').addEventListener('click', e => { const pos = positionUnder(e); if (pos !== null) keep(pos); });
    document.addEventListener('keydown', onKey);
    window.addEventListener('hashchange', recall);
    dark.addEventListener('change', () => paint(view.color));
}

function start() {
    document.title = runs.map(r => `${r.model}, ${r.policy}`).join(' and ');
    byId('title').textContent = `${[...new Set(runs.map(r => r.model))].join(' and ')}, unmasked by ${runs.map(r => r.policy).join(' and by ')}`;
    document.body.classList.toggle('two', runs.length > 1);
    byId('runs').append(...runs.map(makeRun));
    byId('scrub').max = last;
    for (const c of DATA.colors) {
        const b = el('button', '', c.name === 'tis' ? 'TIS' : c.name);
        b.dataset.color = c.name;
        b.title = c.help;
        b.addEventListener('click', () => paint(c.name));
        byId('colors').append(b);
    }
    makeChart(runs, last);
    makeFacts();
    view.at = DATA.at;
    view.color = DATA.color;
    listen();
    recall();
}

start();

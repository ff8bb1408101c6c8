'use strict';
// The page at /__lambda/. Data reaches the document only as text (textContent), never as markup.

const $ = id => document.getElementById(id);
const tabs = ['timeline', 'event', 'request', 'response', 'reply'];
const rows = new Map(); // number -> { row, tr }
let config = { kinds: [], samples: [] };
let environment = { state: 'none' };
let selected = null; // number of the invocation in the detail view
let tab = 'timeline';
let detail = null;
let bodies = {}; // message -> { bytes, size } of the selected invocation
let shown = ''; // what the panel shows, to keep its scroll position

// Returns an element; a child is an element, a text or nothing.
const el = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
};

const size = bytes => bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
const duration = ms => ms === null || ms === undefined ? '' : ms < 1000 ? `${ms.toFixed(ms < 100 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;
const clock = ms => {
  const date = new Date(ms), two = n => String(n).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};

let noticeTimer;
const notify = text => {
  $('notice').textContent = text;
  $('notice').classList.add('on');
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => $('notice').classList.remove('on'), 3500);
};

const post = async (action, body) => {
  try {
    const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
    const response = await fetch(action, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
    return await response.json();
  } catch {
    return { error: 'lambda-local does not respond' };
  }
};

// --- The list

const name = row => row.method ? `${row.method} ${row.target}` : 'event';

const outcome = row => {
  if (row.state !== 'done') return [row.state === 'queued' ? 'queued' : row.stream && row.status ? `${row.status} …` : 'running', 'info'];
  if (row.error) return [row.error === 'Sandbox.Timedout' ? 'timeout' : row.status ? String(row.status) : 'error', 'bad'];
  if (row.status === null) return ['ok', 'ok'];
  return [String(row.status), row.status < 300 ? 'ok' : row.status < 400 ? 'info' : row.status < 500 ? 'warn' : 'bad'];
};

const tag = (text, kind, title) => el('span', { className: `tag ${kind}`, textContent: text, title: title || '' });

const fill = (tr, row) => {
  const [text, kind] = outcome(row);
  const via = row.via.startsWith('replay') ? '↻ ' : '';
  const cells = [
    String(row.n),
    clock(row.time),
    el('span', { textContent: row.source, title: row.via ? `${row.source}, ${row.via}` : row.source }),
    el('span', { className: 'path', title: name(row) }, via, el('b', { textContent: row.method || 'event' }), row.target),
    tag(text, kind, row.error || ''),
    duration(row.ms),
    row.cold ? tag('cold', 'cold', 'The environment was initialized for this invocation') : row.state === 'queued' || row.ms === null && row.state === 'done' ? '' : 'warm',
    size(row.sizes.event),
    row.sizes.reply || row.state === 'done' ? size(row.sizes.reply) : '',
  ];
  tr.replaceChildren(...cells.map((cell, index) => el('td', { className: [5, 7, 8].includes(index) ? 'num' : '' }, cell)));
};

const update = row => {
  const known = rows.get(row.n);
  if (known) {
    known.row = row;
    fill(known.tr, row);
    return;
  }
  const tr = el('tr', { tabIndex: -1 });
  tr.setAttribute('aria-selected', 'false');
  tr.onclick = () => select(row.n, true);
  tr.onkeydown = event => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      select(row.n, true);
      $('panel').focus();
    }
  };
  fill(tr, row);
  rows.set(row.n, { row, tr });
  $('rows').prepend(tr);
};

const visible = () => [...$('rows').children].filter(tr => !tr.hidden);

const filter = () => {
  const text = $('filter').value.trim().toLowerCase(), failed = $('failed').checked;
  let count = 0;
  for (const { row, tr } of rows.values()) {
    const isFailed = Boolean(row.error) || row.status >= 500;
    const words = `${name(row)} ${row.status ?? ''} ${row.error ?? ''} ${row.source} ${row.via} ${row.cold ? 'cold' : 'warm'} ${row.id}`;
    tr.hidden = (failed && !isFailed) || !words.toLowerCase().includes(text);
    count += tr.hidden ? 0 : 1;
  }
  $('count').textContent = count === rows.size ? `${rows.size}` : `${count} of ${rows.size}`;
  $('empty').hidden = rows.size > 0;
  const listed = visible();
  if (!listed.some(tr => tr.tabIndex === 0) && listed[0]) listed[0].tabIndex = 0;
};

const showEnvironment = () => {
  const isBusy = [...rows.values()].some(({ row }) => row.state === 'running');
  const state = isBusy && environment.state === 'ready' ? 'busy' : environment.state;
  const text = {
    none: 'no environment: the next invocation starts cold', starting: 'starting', ready: 'ready', busy: 'busy',
    frozen: 'frozen until the next invocation', failed: 'failed: the next invocation starts cold',
  }[state];
  $('environment').className = state;
  $('environment').lastElementChild.textContent = `${environment.count ? `environment ${environment.count}: ` : ''}${text}`;
  for (const [id, label] of [['timeout', 'Time-out'], ['crash', 'Crash']]) {
    const armed = environment.armed === id;
    $(id).setAttribute('aria-pressed', String(armed));
    $(id).textContent = armed ? `${label} next` : label;
  }
};

const change = changes => {
  environment = changes.environment;
  const kept = new Set(changes.kept);
  for (const [n, { tr }] of rows) if (!kept.has(n)) { tr.remove(); rows.delete(n); }
  let newest = null;
  for (const row of changes.rows) {
    if (!rows.has(row.n)) newest = row.n;
    update(row);
  }
  filter();
  showEnvironment();
  if (selected !== null && !rows.has(selected)) close();
  if (newest !== null && $('follow').checked && innerWidth > 820) select(newest, false);
  else if (changes.rows.some(row => row.n === selected)) refresh();
};

// --- The detail view

const select = (n, byUser) => {
  if (byUser && n !== Math.max(...rows.keys())) $('follow').checked = false;
  for (const [number, { tr }] of rows) {
    tr.setAttribute('aria-selected', String(number === n));
    tr.tabIndex = number === n ? 0 : -1;
  }
  if (n !== selected) { bodies = {}; detail = null; shown = ''; }
  selected = n;
  $('detail').hidden = false;
  $('list').classList.add('narrow');
  document.querySelector('main').classList.add('split');
  refresh();
};

const close = () => {
  const tr = rows.get(selected)?.tr;
  selected = null;
  $('detail').hidden = true;
  $('list').classList.remove('narrow');
  document.querySelector('main').classList.remove('split');
  for (const known of rows.values()) known.tr.setAttribute('aria-selected', 'false');
  tr?.focus();
};

let isRefreshing = false, isStale = false;
const refresh = async () => {
  if (isRefreshing) { isStale = true; return; }
  isRefreshing = true;
  do {
    isStale = false;
    const n = selected;
    if (n === null) break;
    try {
      const response = await fetch(`invocations/${n}`);
      if (!response.ok) break;
      const next = await response.json();
      if (tab !== 'timeline') await load(n, tab, next);
      if (n === selected) { detail = next; render(); } else isStale = true;
    } catch { break; }
  } while (isStale);
  isRefreshing = false;
};

// Fetches the part of a message that is not here yet.
const load = async (n, message, next) => {
  let known = bodies[message];
  // A retried request starts again.
  if (!known || known.attempts !== next.attempts) known = { bytes: new Uint8Array(), size: 0, attempts: next.attempts };
  if (known.size < next.sizes[message]) {
    const response = await fetch(`invocations/${n}/${message}?from=${known.bytes.length}`);
    if (!response.ok) return;
    const more = new Uint8Array(await response.arrayBuffer()), joined = new Uint8Array(known.bytes.length + more.length);
    joined.set(known.bytes);
    joined.set(more, known.bytes.length);
    known = { bytes: joined, size: Number(response.headers.get('x-full-size')), attempts: next.attempts };
  }
  if (n === selected) bodies[message] = known;
};

const render = () => {
  const [text, kind] = outcome(detail);
  $('name').textContent = detail.method ? name(detail) : `event ${detail.n}`;
  $('badge').replaceChildren(tag(text, kind, detail.error || ''));
  const facts = [`#${detail.n}`, detail.via ? `${detail.source} (${detail.via})` : detail.source, clock(detail.time), duration(detail.ms)];
  if (detail.cold) facts.push(`cold${detail.init ? `, init ${duration(detail.init)}` : detail.restore ? `, restore ${duration(detail.restore)}` : ''}`);
  else if (detail.marks.start !== undefined) facts.push('warm');
  if (detail.memory) facts.push(`${detail.memory} MB`);
  if (detail.attempts > 1) facts.push(`${detail.attempts} requests to the app`);
  $('summary').replaceChildren(facts.filter(Boolean).join(' · '), ' · ', el('span', { className: 'mono', textContent: detail.id }));
  $('problem').hidden = !detail.error;
  $('problem').textContent = detail.error ? `${detail.error}: ${detail.message || 'the function reported an error'}` : '';
  for (const id of tabs) {
    const button = $(`tab-${id}`), isShown = id === tab;
    button.setAttribute('aria-selected', String(isShown));
    button.tabIndex = isShown ? 0 : -1;
    if (id !== 'timeline') button.lastElementChild.textContent = detail.sizes[id] ? size(detail.sizes[id]) : '';
  }
  $('panel').setAttribute('aria-labelledby', `tab-${tab}`);
  $('edit').disabled = $('replay').disabled = !detail.sizes.event || detail.sizes.event > detail.bodyLimit;
  const panel = $('panel'), isAtEnd = panel.scrollTop + panel.clientHeight >= panel.scrollHeight - 4;
  const key = `${detail.n} ${tab}`, top = panel.scrollTop;
  panel.replaceChildren(...(tab === 'timeline' ? timeline() : message(tab)));
  panel.scrollTop = key !== shown ? 0 : isAtEnd && top > 0 ? panel.scrollHeight : top;
  shown = key;
};

// The phases of an invocation: label, start, end, whose time it is, and a hint.
const phases = marks => {
  const { start, initStart, initEnd, delivered, requestStart, requestEnd, responseStart, responseEnd, replyStart, replyEnd, hookStart, hookEnd, done } = marks;
  if (start === undefined && done !== undefined) return []; // refused
  const ready = initEnd ?? start;
  const list = [
    ['queued', 0, start, 'lambda', 'Until the environment was free'],
    [detail.restore ? 'restore' : 'init', initStart, initEnd, 'cold', 'The start of the adapter and the app'],
    ['event to the adapter', ready, delivered, 'lambda', 'Until the runtime had the event'],
  ];
  if (requestStart !== undefined) {
    list.push(
      ['adapter: request', delivered, requestStart, 'adapter', 'From the event to the first byte of the request'],
      ...(detail.requests.count > 1 ? [[`app: ${detail.requests.count} requests`, requestStart, responseEnd, 'app', 'From the first request to the last byte of the last response: one request for each record']] : [
        ['app: until first byte', requestStart, responseStart, 'app', 'From the request to the first byte of the response'],
        ['app: response', responseStart, responseEnd, 'app', 'From the first to the last byte of the response'],
      ]),
      ['adapter: reply', detail.stream ? replyStart : responseEnd, replyEnd, 'adapter', 'Until the last byte of the reply'],
    );
  } else {
    list.push(['adapter and app', delivered, replyStart, 'app', 'From the event to the reply'], ['reply', replyStart, replyEnd, 'adapter', '']);
  }
  let end = replyEnd;
  if (hookStart !== undefined) {
    const { request, status } = detail.hook, isLater = done < hookStart; // a Managed Instance has reported before
    const hookDone = hookEnd ?? (isLater ? undefined : done);
    const text = status ?? (hookDone === undefined ? '' : 'no response'), problem = hookDone === undefined || status < 400 ? '' : 'The hook failed; the client has its response';
    list.push([`hook: ${request} ${text}`.trim(), hookStart, hookDone, 'app', 'After the reply: the client does not wait for it', problem]);
    if (!isLater) end = hookDone;
  }
  list.push(['until the end', end, done, 'lambda', 'Until the runtime polled for the next event']);
  // A phase without an end is the last one: the invocation is still in it, or failed in it.
  const open = list.findIndex(([, from, to]) => from !== undefined && to === undefined);
  const known = open < 0 ? list : list.slice(0, open + 1);
  return known.filter(([label, from, to]) => from !== undefined && !(label === 'queued' && to - from < 0.3));
};

// Draws phases on one axis: a label, a bar, and the time or another text.
const waterfall = (total, bars) => {
  const axis = el('div', {}, el('span', { className: 'axis' }, ...[0, 0.25, 0.5, 0.75, 1].map(part => el('span', { textContent: duration(total * part) || '0' }))));
  const list = el('div', { className: 'waterfall', role: 'list' }, axis);
  for (const { label, from, to, who, hint, ticks, text, problem } of bars) {
    const span = el('span', { className: `span ${who}` }), track = el('span', { className: 'track' }, span);
    span.style.setProperty('--at', from / total);
    span.style.setProperty('--len', Math.max(0, to - from) / total);
    for (const at of ticks || []) {
      const mark = el('span', { className: 'tick' });
      mark.style.setProperty('--at', at / total);
      track.append(mark);
    }
    const ms = { className: problem ? 'ms bad' : 'ms', textContent: text || duration(to - from) || '0', title: problem || '' };
    list.append(el('div', { title: hint, role: 'listitem' }, el('span', { className: 'label' }, el('i', { className: who }), label), track, el('span', ms)));
  }
  return list;
};

// The start of the environment, if this is its first invocation.
const coldStart = () => {
  const steps = detail.coldStart, hasRestore = steps.some(step => step.part === 'restore');
  const bars = list => list.map(({ name, remark, part, side, startMs, durationMs, failed }) => ({
    label: remark && !failed ? `${name} ${remark}` : name, from: startMs, to: startMs + durationMs, who: side, hint: `${part}: ${name} ${remark}`,
    problem: failed ? 'The start failed in this phase' : '',
  }));
  const sum = part => steps.filter(step => step.part === part).reduce((ms, step) => ms + step.durationMs, 0);
  const parts = ['init', 'restore', 'response'].filter(part => sum(part)).map(part => `${part === 'response' ? 'first response' : part} ${duration(sum(part))}`);
  const draw = list => waterfall(Math.max(0.01, ...list.map(step => step.startMs + step.durationMs)), bars(list));
  // No client waits for the init before a snapshot: it has an axis of its own.
  const groups = hasRestore ? [steps.filter(step => step.part === 'init'), steps.filter(step => step.part !== 'init')] : [steps];
  return [el('h3', { textContent: `Cold start: ${parts.join(', ')}` }), ...groups.map(draw)];
};

const timeline = () => {
  const marks = detail.marks, isDone = marks.done !== undefined;
  const now = isDone ? 0 : Math.max(0, Date.now() - detail.time);
  const total = Math.max(0.01, now, ...Object.values(marks));
  const parts = [waterfall(total, phases(marks).map(([label, from, to, who, hint, problem]) => {
    const isOpen = to === undefined, isReply = label === 'adapter: reply' || label === 'reply';
    return {
      label, from, to: to ?? total, who, hint, ticks: isReply ? detail.chunks.map(([at]) => at) : [],
      text: isOpen && !isDone ? 'running' : '', problem: problem ?? (isOpen && isDone ? 'The invocation failed in this phase' : ''),
    };
  }))];
  if (detail.coldStart?.length) parts.push(...coldStart());
  if (detail.init && marks.initStart === undefined) parts.push(el('p', { className: 'note', textContent: 'The init came before this invocation; its log lines are at the beginning of the log.' }));
  if (detail.chunks.length) {
    const first = detail.chunks[0][0], last = detail.chunks[detail.chunks.length - 1][0];
    parts.push(el('p', { className: 'note', textContent: `Streamed reply: ${detail.chunks.length} chunks, the first after ${duration(first)}, the last after ${duration(last)}.` }));
  }
  const log = el('div', { className: 'log' });
  for (const [at, from, text] of detail.lines) {
    log.append(el('span', { className: 'at', textContent: duration(at) || '0' }), el('span', { className: `from ${from}`, textContent: from }), el('span', { className: `text ${from}`, textContent: text.replaceAll('\t', '  ') }));
  }
  parts.push(el('h3', { textContent: 'Log' }), detail.lines.length ? log : el('p', { className: 'note', textContent: 'No log line.' }));
  if (config.concurrency > 1 && detail.lines.length) parts.push(el('p', { className: 'note', textContent: 'A line without a request id is listed in each invocation that ran at its time.' }));
  if (detail.linesDropped) parts.push(el('p', { className: 'note', textContent: `${detail.linesDropped} more lines are not kept.` }));
  return parts;
};

// --- Messages

const find = (bytes, pattern, from = 0) => {
  for (let at = from; at <= bytes.length - pattern.length; at++) if (pattern.every((byte, index) => bytes[at + index] === byte)) return at;
  return -1;
};

// Latin-1: one character for each byte.
const characters = bytes => { let text = ''; for (const byte of bytes) text += String.fromCharCode(byte); return text; };

// Returns the text, or nothing for binary data; the cut end of a character is ignored.
const textOf = bytes => {
  for (let cut = 0; cut < 4; cut++) {
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, bytes.length - cut));
      return /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/.test(text) ? null : text;
    } catch { /* not UTF-8, or a character is cut */ }
  }
  return null;
};

const hex = bytes => {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, 4096); at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const codes = row.map(byte => byte.toString(16).padStart(2, '0')).join(' ').padEnd(48);
    lines.push(`${at.toString(16).padStart(6, '0')}  ${codes} ${row.map(byte => byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.').join('')}`);
  }
  if (bytes.length > 4096) lines.push('...');
  return lines.join('\n');
};

// Formats JSON with a colour for each kind of token; numbers and key order stay as they were.
const json = text => {
  const pre = el('pre'), tokens = text.match(/"(?:[^"\\]|\\.)*"|[-+.\w]+|[{}[\],:]/g) || [];
  const token = (text, kind) => pre.append(kind ? el('span', { className: kind, textContent: text }) : text);
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  tokens.forEach((part, index) => {
    const next = tokens[index + 1];
    if (part === '{' || part === '[') { depth++; token(next === '}' || next === ']' ? part : part + line()); }
    else if (part === '}' || part === ']') { depth--; const before = tokens[index - 1]; token(before === '{' || before === '[' ? part : line() + part); }
    else if (part === ',') token(`,${line()}`);
    else if (part === ':') token(': ');
    else token(part, part[0] === '"' ? next === ':' ? 'k' : 's' : 'd');
  });
  return pre;
};

const parse = text => { try { return JSON.parse(text); } catch { return undefined; } };

const content = bytes => {
  if (!bytes.length) return el('p', { className: 'note', textContent: 'empty' });
  const text = textOf(bytes);
  if (text === null) return el('div', {}, el('p', { className: 'note', textContent: `${size(bytes.length)} of binary data` }), el('pre', { textContent: hex(bytes) }));
  const value = text.length < 300000 && /^\s*[[{]/.test(text) ? parse(text) : undefined;
  return value !== undefined && !$('raw').checked ? json(text) : el('pre', { textContent: text });
};

// Joins the chunks of a body (RFC 9112 7.1), as far as they are here.
const dechunk = bytes => {
  const parts = [];
  let at = 0;
  for (;;) {
    const end = find(bytes, [13, 10], at);
    if (end < 0) break;
    const length = parseInt(characters(bytes.subarray(at, end)), 16);
    if (!(length > 0)) break;
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) { joined.set(part, to); to += part.length; }
  return joined;
};

const headerTable = headers => el('table', { className: 'headers' }, el('tbody', {}, ...headers.map(([name, value]) => el('tr', {}, el('td', { className: 'mono', textContent: name }), el('td', { className: 'mono', textContent: value })))));

const http = bytes => {
  const end = find(bytes, [13, 10, 13, 10]);
  if ($('raw').checked || end < 0) return [el('pre', { textContent: textOf(bytes) ?? characters(bytes) })];
  const [start, ...lines] = characters(bytes.subarray(0, end)).split('\r\n');
  const headers = lines.map(line => { const at = line.indexOf(':'); return [line.slice(0, at), line.slice(at + 1).trim()]; });
  const isChunked = headers.some(([name, value]) => name.toLowerCase() === 'transfer-encoding' && /chunked/i.test(value));
  const body = bytes.subarray(end + 4);
  return [
    el('p', { className: 'start-line mono', textContent: start }), headerTable(headers),
    el('h3', { textContent: isChunked ? `Body, ${size(body.length)} with its chunks` : `Body, ${size(body.length)}` }), content(isChunked ? dechunk(body) : body),
  ];
};

const decode = text => { try { return Uint8Array.from(atob(text), c => c.charCodeAt(0)); } catch { return null; } };

// The body inside of an event or a reply.
const innerBody = bytes => {
  const value = parse(textOf(bytes) ?? '');
  if (!value || typeof value.body !== 'string' || !value.body) return [];
  const body = value.isBase64Encoded ? decode(value.body) : new TextEncoder().encode(value.body);
  return body ? [el('h3', { textContent: `Body, decoded, ${size(body.length)}` }), content(body)] : [];
};

const reply = bytes => {
  const parts = [];
  if (detail.status !== null) {
    parts.push(el('h3', { textContent: detail.via ? 'Response that a client would receive' : 'Response to the client' }), el('p', { className: 'start-line mono', textContent: `HTTP/1.1 ${detail.status}` }), headerTable(detail.headers));
  }
  const end = detail.stream && !$('raw').checked ? find(bytes, [0, 0, 0, 0, 0, 0, 0, 0]) : -1;
  if (end >= 0) {
    parts.push(el('h3', { textContent: 'Prelude of the stream' }), content(bytes.subarray(0, end)), el('h3', { textContent: `Body, ${size(bytes.length - end - 8)}` }), content(bytes.subarray(end + 8)));
  } else {
    parts.push(el('h3', { textContent: detail.error ? 'Failure, as posted' : 'Reply, as posted' }), content(bytes), ...($('raw').checked ? [] : innerBody(bytes)));
  }
  return parts;
};

const message = kind => {
  const body = bodies[kind];
  if (!body || !body.size) {
    const isHttp = kind === 'request' || kind === 'response';
    const text = isHttp && !config.relay ? 'Not recorded: lambda-local is between the adapter and the app only if the adapter runs as an extension and the app on 127.0.0.1.'
      : detail.state === 'done' ? kind === 'request' ? 'The app received no request for this invocation.' : kind === 'response' ? 'The app sent no response.' : 'The runtime sent no reply.' : 'Nothing yet.';
    return [el('p', { className: 'note', textContent: text })];
  }
  const parts = [], { count, shown, failed } = detail.requests;
  if (count > 1 && (kind === 'request' || kind === 'response')) {
    const isFailed = shown < count || (failed && detail.state === 'done');
    parts.push(el('p', { className: 'note', textContent: `Number ${shown} of ${count}: ${isFailed ? 'the first that failed' : 'the last'}.` }));
  }
  if (body.size > body.bytes.length) parts.push(el('p', { className: 'note', textContent: `The first ${body.bytes.length / 1024} kB of ${body.size.toLocaleString('en')} bytes are kept.` }));
  if (kind === 'event') parts.push(content(body.bytes), ...($('raw').checked ? [] : innerBody(body.bytes)));
  else if (kind === 'reply') parts.push(...reply(body.bytes));
  else parts.push(...http(body.bytes));
  return parts;
};

const show = id => {
  tab = id;
  if (selected !== null) refresh();
};

// --- Actions

const sent = answer => {
  if (answer.error) { notify(answer.error); return false; }
  if (answer.n) { $('follow').checked = true; if (rows.has(answer.n)) select(answer.n, true); else waitFor(answer.n); }
  return true;
};

// The row arrives with the feed.
const waitFor = (n, attempts = 40) => {
  if (rows.has(n)) select(n, true);
  else if (attempts) setTimeout(waitFor, 25, n, attempts - 1);
};

const replay = async () => { if (selected !== null && !$('replay').disabled) sent(await post('replay', { n: selected })); };

const openEvent = text => {
  if (text !== undefined) { $('event-text').value = text; $('event-sample').value = ''; }
  $('event-dialog').querySelector('.error').textContent = '';
  $('event-dialog').showModal();
  $('event-text').focus();
};

const pretty = text => { const pre = json(text); return pre.textContent; };

const edit = async () => {
  const n = selected;
  if (n === null) return;
  await load(n, 'event', detail);
  openEvent(pretty(textOf(bodies.event.bytes) ?? ''));
};

const openRequest = () => {
  $('request-dialog').querySelector('.error').textContent = '';
  $('request-dialog').showModal();
  $('request-target').focus();
};

const sendFrom = (dialog, send) => {
  const form = dialog.querySelector('form');
  form.onsubmit = async event => {
    event.preventDefault();
    const answer = await send();
    dialog.querySelector('.error').textContent = answer.error || '';
    if (!answer.error) { dialog.close(); sent(answer); }
  };
  dialog.querySelector('.cancel').onclick = () => dialog.close();
  dialog.onkeydown = event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(form.querySelector('button.main')); }
  };
};

sendFrom($('request-dialog'), () => {
  const lines = $('request-headers').value.split('\n').filter(line => line.trim());
  const wrong = lines.find(line => line.indexOf(':') < 1);
  if (wrong) return { error: `a header has the form "name: value", not "${wrong}"` };
  const headers = lines.map(line => { const at = line.indexOf(':'); return [line.slice(0, at).trim(), line.slice(at + 1).trim()]; });
  return post('request', { front: $('request-front').value, method: $('request-method').value.trim(), target: $('request-target').value.trim(), headers, body: $('request-body').value });
});
sendFrom($('event-dialog'), () => parse($('event-text').value) === undefined ? { error: 'the event is not JSON' } : post('event', $('event-text').value));

$('event-sample').onchange = () => {
  const sample = config.samples.find(sample => sample.name === $('event-sample').value);
  if (sample) $('event-text').value = sample.event;
};
$('event-format').onclick = () => { if (parse($('event-text').value) !== undefined) $('event-text').value = pretty($('event-text').value); };

for (const id of ['cold-start', 'freeze', 'timeout', 'crash']) {
  $(id).onclick = async () => {
    const answer = await post(id);
    if (answer.error) notify(answer.error);
  };
}
$('clear').onclick = () => post('clear');
$('new-request').onclick = openRequest;
$('new-event').onclick = () => openEvent();
$('replay').onclick = replay;
$('edit').onclick = edit;
$('back').onclick = close;
$('filter').oninput = filter;
$('failed').onchange = filter;
$('follow').onchange = () => { if ($('follow').checked && rows.size) select(Math.max(...rows.keys()), true); };
$('raw').onchange = () => { if (detail) render(); };
$('copy').onclick = async () => {
  const text = tab === 'timeline' ? detail.lines.map(line => line[2]).join('\n') : $('panel').innerText;
  try { await navigator.clipboard.writeText(text); notify('Copied'); } catch { notify('The browser does not allow to copy'); }
};
tabs.forEach((id, index) => {
  $(`tab-${id}`).onclick = () => show(id);
  $(`tab-${id}`).onkeydown = event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(index + step + tabs.length) % tabs.length];
    show(next);
    $(`tab-${next}`).focus();
  };
});

const move = step => {
  const list = visible(), at = list.findIndex(tr => tr.getAttribute('aria-selected') === 'true');
  const next = list[at < 0 ? 0 : Math.min(list.length - 1, Math.max(0, at + step))];
  if (!next) return;
  next.click();
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
};

document.addEventListener('keydown', event => {
  const isTyping = event.target.matches('input:not([type=checkbox]), textarea, select');
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.key === 'Escape') { if (isTyping) event.target.blur(); else if (selected !== null) close(); return; }
  if (isTyping) return;
  const inPanel = $('panel').contains(event.target) || event.target.role === 'tab';
  const keys = { n: openRequest, e: () => openEvent(), r: replay, '/': () => $('filter').focus() };
  if (!inPanel) Object.assign(keys, { ArrowDown: () => move(1), ArrowUp: () => move(-1), j: () => move(1), k: () => move(-1) });
  const action = keys[event.key] || (selected !== null && tabs[Number(event.key) - 1] && (() => show(tabs[Number(event.key) - 1])));
  if (action) { event.preventDefault(); action(); }
});

// --- Start

const option = (value, text) => el('option', { value, textContent: text });

const start = async () => {
  config = await (await fetch('config')).json();
  const stage = config.stage ? `/${config.stage}` : '';
  $('function').textContent = config.function;
  document.title = `${config.function} · lambda-local`;
  $('facts').textContent = [config.kind, config.streaming ? 'streaming' : 'buffered', `timeout ${config.timeout} s`, `${config.memory} MB`, config.init === 'on-demand' ? '' : config.init, config.concurrency ? `concurrency ${config.concurrency}` : '', config.freeze ? 'freeze' : '', config.command || 'demo app'].filter(Boolean).join(' · ');
  $('try').textContent = `curl -i ${location.origin}${stage}/`;
  $('request-front').replaceChildren(...config.kinds.map(kind => option(kind, kind)));
  $('request-front').value = config.kind;
  $('request-target').value = `${stage}/`;
  $('event-sample').replaceChildren(option('', ''), ...config.samples.map(sample => option(sample.name, `${sample.name}: ${sample.meaning}`)));
};

const feed = new EventSource('feed');
feed.addEventListener('snapshot', event => {
  start();
  $('rows').replaceChildren();
  rows.clear();
  change(JSON.parse(event.data));
});
feed.addEventListener('change', event => change(JSON.parse(event.data)));
feed.onerror = () => {
  $('environment').className = 'failed';
  $('environment').lastElementChild.textContent = 'lambda-local does not respond';
};
// An open phase grows while the invocation runs.
setInterval(() => { if (detail && detail.state !== 'done' && tab === 'timeline' && selected !== null) render(); }, 250);

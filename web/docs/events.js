// The page at /docs/events: /asyncapi.json, rendered.  Text of the document becomes text
// nodes, never markup.

// el('a', { href }, 'text', node, ...)
function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) if (value !== undefined) node.setAttribute(key, value);
  node.append(...children.filter((c) => c !== undefined && c !== ''));
  return node;
}

// **bold**, `code` and [text](address) of one line.
function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/).filter(Boolean).map((part) => {
    const link = /^\[([^\]]+)\]\((\/[^)\s]*|https:[^)\s]*)\)$/.exec(part);
    if (link) return el('a', { href: link[2] }, link[1]);
    if (/^\*\*.*\*\*$/.test(part)) return el('strong', {}, part.slice(2, -2));
    if (/^`.*`$/.test(part)) return el('code', {}, part.slice(1, -1));
    return part;
  });
}

// Paragraphs and ```blocks```.
function prose(text = '') {
  return text.trim().split(/\n\n+/).filter(Boolean).map((block) => {
    const code = /^```\w*\n([\s\S]*?)\n?```$/.exec(block);
    return code ? el('pre', {}, code[1]) : el('p', {}, ...inline(block.replace(/\n/g, ' ')));
  });
}

function resolve(doc, node) {
  while (node?.$ref)
    node = node.$ref.slice(2).split('/').reduce((at, key) => at?.[key.replace(/~1/g, '/').replace(/~0/g, '~')], doc);
  return node;
}

// "string", "integer | null", "array of Member", '"owner" | "editor"'
function typeName(doc, schema) {
  const to = resolve(doc, schema) ?? {};
  if (to.const !== undefined) return JSON.stringify(to.const);
  if (to.enum) return to.enum.map((v) => JSON.stringify(v)).join(' | ');
  if (to.type === 'array') return `array of ${typeName(doc, to.items)}`;
  if (to.type) return [to.type].flat().join(' | ');
  return to.oneOf || to.anyOf ? 'one of several' : 'any JSON';
}

// What else is asked of a value: "1 to 128 characters".
function limits(schema = {}) {
  const out = [];
  if (schema.maxLength !== undefined) out.push(`${schema.minLength ?? 0} to ${schema.maxLength} bytes`);
  if (schema.minimum !== undefined && schema.minimum !== 0) out.push(`from ${schema.minimum}`);
  if (schema.maxItems !== undefined) out.push(`at most ${schema.maxItems}`);
  return out.join(', ');
}

// The members of an object, those of objects in it below.
function rows(doc, schema, prefix = '') {
  const to = resolve(doc, schema) ?? {};
  return Object.entries(to.properties ?? {}).flatMap(([name, member]) => {
    const inner = resolve(doc, member) ?? {};
    const nested = inner.type === 'array' ? resolve(doc, inner.items) : inner;
    const path = `${prefix}${name}`;
    const about = [member.description ?? inner.description, limits(inner)].filter(Boolean).join('; ').replace(/\n/g, ' ');
    const row = el('tr', {},
      el('th', { scope: 'row' }, el('code', {}, path), (to.required ?? []).includes(name) ? '' : el('span', { class: 'optional' }, ' optional')),
      el('td', {}, el('code', {}, typeName(doc, member))),
      el('td', {}, ...inline(about)));
    return [row, ...(nested?.properties ? rows(doc, nested, `${path}${inner.type === 'array' ? '[]' : ''}.`) : [])];
  });
}

function table(doc, schema) {
  const body = rows(doc, schema);
  if (!body.length) return el('p', { class: 'quiet' }, 'Any JSON.');
  return el('div', { class: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ...['member', 'type', ''].map((t) => el('th', { scope: 'col' }, t)))),
    el('tbody', {}, ...body)));
}

function ack(doc, operation) {
  const message = resolve(doc, operation.reply?.messages?.[0]);
  if (!message || message['x-packet']) return [];
  const good = resolve(doc, message.payload).oneOf?.map((s) => resolve(doc, s)).find((s) => resolve(doc, s.properties?.ok)?.const === true);
  return [el('h4', {}, 'Acknowledgement'), table(doc, good ?? message.payload),
    el('p', { class: 'quiet' }, 'or ', el('code', {}, '{ok: false, error: {code, message}}'))];
}

function article(doc, key, operation) {
  const message = resolve(doc, resolve(doc, operation.messages[0]));
  const facts = [];
  if (message['x-packet']) facts.push('a packet of the protocol, not an event');
  if (message['x-to']) facts.push(`to ${message['x-to']}`);
  if (message['x-kept'] === 'project') facts.push('durable: read it later with GET /api/projects/{project_id}/events');
  if (message['x-kept'] === 'user') facts.push('durable: read it later with GET /api/notifications');
  return el('article', { id: key, 'data-name': message.name },
    el('h3', {}, el('a', { href: `#${key}` }, message.name), el('span', { class: 'summary' }, message.summary ?? '')),
    facts.length ? el('p', { class: 'facts' }, facts.join(' · ')) : undefined,
    ...prose(message.description),
    table(doc, message.payload),
    ...(message.examples ?? []).map((e) => el('pre', {}, JSON.stringify(e.payload, null, 2))),
    ...ack(doc, operation));
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const node of document.querySelectorAll('[data-name]')) node.hidden = !node.textContent.toLowerCase().includes(wanted);
  for (const link of document.querySelectorAll('#index a')) link.hidden = document.getElementById(link.hash.slice(1))?.hidden ?? false;
}

function show(doc) {
  const main = document.getElementById('events'), index = document.getElementById('index');
  main.replaceChildren(el('h1', {}, doc.info.title, el('small', {}, doc.info.version)), ...prose(doc.info.description));
  for (const [action, title] of [['receive', 'What a client sends'], ['send', 'What the server sends']]) {
    main.append(el('h2', {}, title));
    index.append(el('h2', {}, title));
    for (const [key, operation] of Object.entries(doc.operations).filter(([, o]) => o.action === action)) {
      const node = article(doc, key, operation);
      main.append(node);
      index.append(el('a', { href: `#${key}` }, node.dataset.name));
    }
    if (action === 'receive') main.append(...errors(doc));
  }
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function errors(doc) {
  return [el('p', {}, 'Error codes: ', ...doc.components.schemas.ErrorCode.enum.flatMap((c, i) => [i ? ', ' : '', el('code', {}, c)]))];
}

document.getElementById('filter').addEventListener('input', (e) => filter(e.target.value));
fetch('/asyncapi.json')
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP ${answer.status}`))))
  .then(show)
  .catch((error) => document.getElementById('events').replaceChildren(el('p', {}, `/asyncapi.json could not be read: ${error.message}`)));

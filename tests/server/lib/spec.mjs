// The API's descriptions as tests use them: schemas that validate, bodies made from
// schemas (good ones, and ones that break one rule each), answers held to what is documented.
import assert from 'node:assert/strict';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

export function resolve(doc, node) {
  while (node?.$ref) {
    assert.match(node.$ref, /^#\//);
    node = node.$ref.slice(2).split('/').reduce((at, key) => at?.[key.replace(/~1/g, '/').replace(/~0/g, '~')], doc);
  }
  return node;
}

// What the server sends has no member that is not described, unless a schema says that it may.
// The parts of an allOf describe one object together: the first one names its members.
function close(node, isPart = false) {
  if (Array.isArray(node)) return node.map((n) => close(n));
  if (!node || typeof node !== 'object') return node;
  const out = Object.fromEntries(Object.entries(node).map(([k, v]) => [k, k === 'allOf' ? v.map((n) => close(n, true)) : k === 'examples' || k === 'example' ? v : close(v)]));
  if (!isPart && out.type === 'object' && out.properties && out.additionalProperties === undefined) out.additionalProperties = false;
  return out;
}

// validator(doc)(pointer or schema) gives a function of a value: undefined, or what is wrong.
export function validator(doc, { closed = false } = {}) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  formats.default(ajv);
  ajv.addSchema({ ...(closed ? close(doc) : doc), $id: 'doc:/' });
  const known = new Map();
  const absolute = (node) => JSON.parse(JSON.stringify(node), (key, value) => (key === '$ref' ? `doc:/${value}` : value));
  return (schema, value) => {
    const text = JSON.stringify(schema);
    if (!known.has(text)) known.set(text, ajv.compile(absolute(closed ? close(schema) : schema)));
    const check = known.get(text);
    return check(value) ? undefined : ajv.errorsText(check.errors, { separator: '; ' });
  };
}

export function operationsOf(doc) {
  const out = [];
  for (const [path, item] of Object.entries(doc.paths))
    for (const [method, op] of Object.entries(item)) {
      if (method === 'parameters') continue;
      const parameters = [...(item.parameters ?? []), ...(op.parameters ?? [])].map((p) => resolve(doc, p));
      const body = resolve(doc, op.requestBody)?.content['application/json'];
      const security = (op.security ?? doc.security).map((s) => Object.keys(s)[0])[0];
      out.push({ ...op, path, method: method.toUpperCase(), parameters, body, security, name: `${method.toUpperCase()} ${path}` });
    }
  return out;
}

// ---- values ------------------------------------------------------------------------

const LONG = (n) => 'x'.repeat(n);
const typesOf = (schema) => [schema.type ?? []].flat();
const ref = (schema) => schema.$ref?.split('/').at(-1);

// Names of schemas whose values mean a row that must be there: only their examples fit.
const REFERS = new Set(['ItemRef', 'Assignee']);

// Good values of a schema: its examples, then what lies at its bounds.
export function goodValues(doc, schema, fits) {
  const to = resolve(doc, schema);
  const out = [...(to.examples ?? [])];
  const types = typesOf(to);
  const isRow = REFERS.has(ref(schema)) || schema.examples?.[0] === null;
  if (to.const !== undefined) out.push(to.const);
  out.push(...(to.enum ?? []));
  if (types.includes('null')) out.push(null);
  if (types.includes('boolean')) out.push(true, false);
  if (types.includes('object')) out.push({}, { a: [1, { b: null }] });
  if (types.includes('array')) out.push([]);
  if (!isRow) {
    if (types.includes('string')) out.push(LONG(Math.max(to.minLength ?? 0, 1)), LONG(to.maxLength ?? 100), 'Größe 5 m²', '');
    if (types.includes('integer')) out.push(to.minimum ?? 0, Math.min(to.maximum ?? 1000, Number.MAX_SAFE_INTEGER));
    if (types.includes('number')) out.push(0, 45.5, -1e-6, 123456789012345);
  }
  if (!types.length && !to.enum && to.const === undefined) out.push(null, 'text', 7, [1]);
  const seen = new Set();
  return out.filter((v) => fits(schema, v) === undefined && !seen.has(JSON.stringify(v)) && seen.add(JSON.stringify(v)));
}

// Values that break a rule of the schema, each with the rule.
export function badValues(doc, schema, fits) {
  const to = resolve(doc, schema);
  const out = [['type', { a: 1 }], ['type', [1]], ['type', true], ['type', 7], ['type', 7.5], ['type', 'text'], ['type', null]];
  if (to.maxLength !== undefined) out.push(['maxLength', LONG(to.maxLength + 1)]);
  if (to.minLength) out.push(['minLength', '']);
  if (to.maximum !== undefined) out.push(['maximum', to.maximum + 1]);
  if (to.minimum !== undefined) out.push(['minimum', to.minimum - 1]);
  if (to.exclusiveMaximum !== undefined) out.push(['exclusiveMaximum', to.exclusiveMaximum], ['exclusiveMinimum', to.exclusiveMinimum]);
  if (to.maxItems !== undefined) out.push(['maxItems', Array.from({ length: to.maxItems + 1 }, () => ({ item_id: 'x', qty: 1 }))]);
  if (to.enum) out.push(['enum', 'no-such-word'], ['enum', '']);
  if (to.pattern) for (const text of ['a\u0001b', 'a\u007fb', 'a\nb', 'a b', 'a/b', 'a..b', '-a', '1.2.3', '0x10', '+1', 'ä']) out.push(['pattern', text]);
  if (to.format === 'date') out.push(['format', '2026-02-30'], ['format', '24.12.2026'], ['format', '2026-1-1']);
  for (const word of to.not?.enum ?? []) out.push(['not', word]);
  // Of a list the whole is judged here; what is wrong with one of it is told of that one.
  return out.filter(([rule, v]) => fits(schema, v) !== undefined && !(Array.isArray(v) && rule === 'type' && to.type === 'array'));
}

// What a text means where a parameter stands.
export function fromText(doc, schema, text) {
  const { type } = resolve(doc, schema);
  if (type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : text;
  return type === 'boolean' ? ({ true: true, false: false }[text] ?? text) : text;
}

// Texts that are no good value of a parameter.
export const badTexts = (doc, schema, fits) =>
  [...new Set(badValues(doc, schema, fits).map(([, v]) => v).filter((v) => ['string', 'number', 'boolean'].includes(typeof v)).map(String))].filter((text) => fits(schema, fromText(doc, schema, text)) !== undefined);

// Does a member mean anything?  Those that are not looked at have no type.
const isJudged = (doc, schema) => Object.keys(resolve(doc, schema)).some((k) => k !== 'description');

export function minimalBody(doc, schema, fits) {
  const to = resolve(doc, schema);
  const names = [...(to.required ?? []), ...(to.anyOf?.[0].required ?? [])];
  return Object.fromEntries(names.map((n) => [n, goodValues(doc, to.properties[n], fits)[0]]));
}

// [what, body]: least and full, then each good value of each member.
export function goodBodies(doc, schema, fits) {
  const to = resolve(doc, schema), least = minimalBody(doc, schema, fits);
  const values = (n) => (isJudged(doc, to.properties[n]) ? goodValues(doc, to.properties[n], fits) : [{ not: ['looked', 'at'] }]);
  const out = [['least', least], ['full', Object.fromEntries(Object.keys(to.properties).map((n) => [n, values(n)[0]]))]];
  for (const n of Object.keys(to.properties)) for (const v of values(n).slice(0, 12)) out.push([`${n}=${JSON.stringify(v).slice(0, 30)}`, { ...least, [n]: v }]);
  return out;
}

// [what, body, member]: each breaks one rule.
export function badBodies(doc, schema, fits) {
  const to = resolve(doc, schema), least = minimalBody(doc, schema, fits), out = [];
  for (const n of to.required ?? []) out.push([`without ${n}`, Object.fromEntries(Object.entries(least).filter(([k]) => k !== n)), n]);
  if (to.anyOf) out.push(['with nothing to change', {}]);
  if (to.additionalProperties === false) out.push(['with an unknown member', { ...least, no_such_member: 1 }, 'no_such_member']);
  for (const [n, member] of Object.entries(to.properties))
    if (isJudged(doc, member)) for (const [rule, v] of badValues(doc, member, fits)) out.push([`${n}: ${rule} ${JSON.stringify(v).slice(0, 30)}`, { ...least, [n]: v }, n]);
  return out;
}

// ---- answers ------------------------------------------------------------------------

// Hold an answer to its operation; returns its documented status ("200", "default").
export function holdAnswer(doc, fits, op, res) {
  const key = op.responses[res.status] ? String(res.status) : 'default';
  const documented = resolve(doc, op.responses[key]);
  const where = `${op.name}: ${res.status} ${res.body.slice(0, 300)}`;
  assert.ok(key !== 'default' || res.status >= 400, `${where}: a status that is not documented`);
  for (const [name, header] of Object.entries(documented.headers ?? {})) {
    const value = res.headers[name.toLowerCase()];
    assert.notEqual(value, undefined, `${where}: without ${name}`);
    const wrong = fits(resolve(doc, header).schema, value);
    assert.equal(wrong, undefined, `${where}: ${name}: ${value}: ${wrong}`);
  }
  for (const name of ['etag', 'location', 'retry-after', 'www-authenticate'])
    if (res.headers[name] !== undefined && key !== 'default')
      assert.ok(Object.keys(documented.headers ?? {}).some((h) => h.toLowerCase() === name), `${where}: ${name} is not documented`);
  if (!documented.content) {
    assert.equal(res.body, '', where);
    return key;
  }
  const type = res.headers['content-type']?.split(';')[0];
  assert.ok(documented.content[type], `${where}: ${type} is not documented`);
  const value = /json/.test(type) ? res.json : res.body;
  const wrong = fits(documented.content[type].schema, value);
  assert.equal(wrong, undefined, `${where}: ${wrong}`);
  if (/problem/.test(type)) assert.equal(res.json.status, res.status, where);
  return key;
}

// docs/api/openapi.yaml and asyncapi.yaml against the server, so that neither can drift: the
// requests here are made from the documents, every answer and event is held to them, and the
// documents' lists are compared with those in the sources.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv';
import { chromium } from 'playwright-core';
import ts from 'typescript';
import { Client, clientPool } from './lib/clients.mjs';
import { ROOT, SKYBUILD, run, startProgram, startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { badBodies, badTexts, goodBodies, holdAnswer, operationsOf, resolve, validator } from './lib/spec.mjs';

const source = (file) => readFileSync(path.join(ROOT, file), 'utf8');
const sources = (...dirs) => dirs.flatMap((dir) => readdirSync(path.join(ROOT, dir)).filter((f) => f.endsWith('.c')).map((f) => source(`${dir}/${f}`))).join('\n');

// user-123 owns proj-123, user-456 edits, user-789 looks on, user-000 is no member.
const OWNER = 'user-123', EDITOR = 'user-456', VIEWER = 'user-789', STRANGER = 'user-000';
async function fill(cli) {
  for (const user of [OWNER, EDITOR, VIEWER, STRANGER]) await cli(['user', 'add', user, '--name', `The ${user}`, '--password-stdin'], { input: 'correct-horse\n' });
  await cli(['project', 'add', 'proj-123', '--name', 'Riverside Tower', '--owner', OWNER]);
  await cli(['project', 'share', 'proj-123', EDITOR, 'editor']);
  await cli(['project', 'share', 'proj-123', VIEWER, 'viewer']);
}

let server, api, events, operations, fits, holds;
const seen = new Map(); // operation's name -> set of statuses that were seen and fitted
const rows = { project_id: 'proj-123', item_id: 'item-789', user_id: EDITOR };
const pool = clientPool();

// One call of an operation, its answer held to the document.
async function call(op, { as = op.security === 'userToken' ? OWNER : undefined, params = {}, query = '', json, body, headers = {} } = {}) {
  const target = op.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(params[name] ?? rows[name]))) + query;
  const auth = as ? server.token(as) : as === undefined && op.security === 'serviceKey' ? server.env.SERVICE_API_KEY : undefined;
  const res = await request(server.port, op.method, target, { headers: { ...(auth ? { authorization: `Bearer ${auth}` } : {}), ...headers }, json, body });
  const status = holdAnswer(api, holds, op, res);
  seen.set(op.name, (seen.get(op.name) ?? new Set()).add(status));
  // A server has few of them, and they are many here.
  if (op.operationId === 'beginTrace' && res.status === 201) await server.api('DELETE', `/api/traces/${res.json.id}`, { key: true });
  return res;
}

const named = (id) => operations.find((o) => o.operationId === id);

// Make sure that the rows are there which paths and bodies name.  Not held to the document: a
// drift shall be told by the test that it belongs to.
async function rowsThere() {
  const api = async (method, target, body, { as = OWNER } = {}) => {
    const res = await server.api(method, `/api${target}`, { as, body });
    assert.ok(res.status < 300 || res.status === 404, `${method} ${target}: ${res.status} ${res.body}`);
    return res;
  };
  const project = '/projects/proj-123';
  if ((await api('GET', project)).status === 404) await api('POST', '/projects', { project_id: 'proj-123', name: 'Riverside Tower' });
  for (const [user, role] of [[EDITOR, 'editor'], [VIEWER, 'viewer']]) await api('PUT', `${project}/collaborators/${user}`, { role });
  if ((await api('GET', `${project}/boq/item-789`)).status === 404) await api('POST', `${project}/boq`, { item_id: 'item-789', code: '03.2', qty: 1 });
  await server.api('DELETE', `/api/traces/${rows.trace_id}`, { key: true });
  rows.trace_id = (await server.api('POST', '/api/traces', { key: true, body: { by: 'user', id: OWNER } })).json.id;
  rows.task_id = (await api('POST', `${project}/tasks`, { title: 'Order lifts', assignee_id: VIEWER })).json.task_id;
  rows.comment_id = (await api('POST', `${project}/comments`, { text: `@${OWNER} look` }, { as: EDITOR })).json.comment_id;
  rows.id = (await api('GET', '/notifications')).json.items[0].id; // the comment mentions
}

// A body that breaks no rule of its schema may still not fit the rows that are there.
let serial = 0;
async function fitting(op, body) {
  const out = { ...body };
  if (['addProject', 'addItem'].includes(op.operationId)) {
    const id = op.operationId === 'addProject' ? 'project_id' : 'item_id';
    if (id in out) out[id] = `${++serial}-${out[id]}`.slice(0, 128);
  }
  if ('version' in out && op.method === 'PATCH') {
    const read = operations.find((o) => o.path === op.path && o.method === 'GET');
    out.version = (await call(read)).json.version;
  }
  return out;
}

before(async () => {
  server = await startServer({ fill });
  [api, events] = await Promise.all(['/openapi.json', '/asyncapi.json'].map(async (target) => (await request(server.port, 'GET', target)).json));
  operations = operationsOf(api);
  fits = validator(api);
  holds = validator(api, { closed: true });
  await rowsThere();
});
after(async () => {
  pool.close();
  await server?.stop();
});

describe('the documents', () => {
  it('openapi.json is OpenAPI 3.1', async () => {
    assert.equal(api.openapi, '3.1.0');
    const got = await new Validator().validate(structuredClone(api));
    assert.ok(got.valid, JSON.stringify(got.errors, null, 1));
  });

  it('asyncapi.json is AsyncAPI 3.0', () => {
    const schema = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0.json');
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, meta: false, validateSchema: false });
    const check = ajv.compile(schema);
    assert.ok(check(events), ajv.errorsText(check.errors?.slice(0, 20), { separator: '\n' }));
  });

  it('name each operation and message once, and say what it is', () => {
    const ids = operations.map((o) => o.operationId);
    assert.deepEqual(ids.filter((id, i) => !id || ids.indexOf(id) !== i), []);
    for (const op of operations) {
      assert.ok(op.summary && op.tags?.every((t) => api.tags.some((known) => known.name === t)), op.name);
      const inPath = [...op.path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();
      assert.deepEqual(op.parameters.filter((p) => p.in === 'path').map((p) => p.name).sort(), inPath, op.name);
    }
    for (const [key, message] of Object.entries(events.components.messages)) assert.ok(message.summary && message.payload, key);
  });

  it('have examples that fit their schemas', () => {
    let n = 0;
    const walk = (doc, check, node, where) => {
      if (!node || typeof node !== 'object') return;
      const one = (schema, value) => {
        n++;
        assert.equal(check(schema, value), undefined, `${where}: ${JSON.stringify(value)}`);
      };
      if (node.example !== undefined && node.schema) one(node.schema, node.example);
      if (Array.isArray(node.examples)) for (const e of node.examples) node.payload ? one(node.payload, e.payload) : one(node, e);
      for (const [key, value] of Object.entries(node)) if (key !== 'examples' && key !== 'example') walk(doc, check, value, `${where}/${key}`);
    };
    walk(api, holds, api, '#');
    walk(events, validator(events, { closed: true }), events, '#');
    assert.ok(n > 100, `${n} examples`);
    for (const op of operations) if (op.body) assert.ok(op.body.example, `${op.name}: no example of a body`);
  });

  it('are served like other files, with the program’s version', async () => {
    const version = source('CMakeLists.txt').match(/project\(skybuild VERSION (\S+)/)[1];
    for (const target of ['/openapi.json', '/asyncapi.json']) {
      const res = await request(server.port, 'GET', target);
      assert.equal(res.json.info.version, version);
      assert.match(res.headers['content-type'], /^application\/json/);
      const again = await request(server.port, 'GET', target, { headers: { 'if-none-match': res.headers.etag } });
      assert.deepEqual([again.status, again.body], [304, '']);
    }
  });
});

describe('the way into the program', () => {
  const spec = (folder) => run(path.join(ROOT, 'scripts/make-spec'), ['--version', '1.2.3', '--json', folder]);

  it('a document that is not whole stops the build', async () => {
    const dir = path.join(server.dir, 'spec');
    for (const [what, change, says] of [
      ['a reference that leads nowhere', (text) => text.replace("'#/components/schemas/ItemPage'", "'#/components/schemas/NoSuch'"), /NoSuch leads nowhere/],
      ['a schema of the other document that is not there', (text, name) => (name === 'asyncapi' ? text.replace('openapi.yaml#/components/schemas/PresentUser', 'openapi.yaml#/components/schemas/NoSuch') : text), /NoSuch leads nowhere/],
      ['a key that stands twice', (text) => text.replace('      summary: An item\n', '      summary: An item\n      summary: An item\n'), /'summary' stands twice/],
      ['no YAML', (text) => `${text}\n  - [`, /make-spec: .*yaml/],
    ]) {
      mkdirSync(dir, { recursive: true });
      for (const name of ['openapi', 'asyncapi']) writeFileSync(path.join(dir, `${name}.yaml`), change(source(`docs/api/${name}.yaml`), name));
      const got = await spec(dir);
      assert.notEqual(got.code, 0, what);
      assert.match(got.stderr, says, what);
    }
    const good = JSON.parse((await spec(path.join(ROOT, 'docs/api'))).stdout);
    assert.deepEqual([good.openapi.info.version, good.asyncapi.info.version], ['1.2.3', '1.2.3']);
    assert.doesNotMatch(JSON.stringify(good.asyncapi), /openapi\.yaml#/);
  });

  it('without the folder of the pages the descriptions are there; without a file of it the log says which', async () => {
    const dir = path.join(server.dir, 'elsewhere');
    mkdirSync(path.join(dir, 'bin'), { recursive: true });
    copyFileSync(SKYBUILD, path.join(dir, 'bin/skybuild'));
    const env = { ...server.env, DATABASE_URL: `sqlite:///${dir}/x.db`, WEB_ROOT: undefined, CLIENT_DIR: undefined };
    for (const [hasPages, status] of [[false, 404], [true, 200]]) {
      if (hasPages) cpSync(path.join(ROOT, 'web/docs'), path.join(dir, 'web/docs'), { recursive: true });
      const program = await startProgram(path.join(dir, 'bin/skybuild'), ['serve'], { env, cwd: dir });
      assert.equal((await request(program.port, 'GET', '/docs')).status, status);
      assert.equal((await request(program.port, 'GET', '/openapi.json')).status, 200);
      assert.equal((await request(program.port, 'GET', '/docs/swagger-ui.css')).status, 404);
      const said = program.logged(/WARNING/).filter((l) => /docs/.test(l));
      assert.equal(said.length, hasPages ? 2 : 0, said.join('\n'));
      for (const line of said) assert.match(line, /swagger-ui-dist\/\S+ is not there: the pages of \/docs are not whole/);
      await program.end();
    }
  });
});

describe('the lists in the sources', () => {
  const routes = () => {
    const text = source('server/api/routes.h');
    const prefix = text.match(/#define PROJECT "([^"]*)"/)[1];
    const table = [...text.matchAll(/^\s*X\("(\w+)", (PROJECT)?\s*(?:"([^"]*)")?,/gm)].map(([, method, project, rest]) => `${method} ${project ? prefix : ''}${rest ?? ''}`);
    const files = source('server/api/files.c');
    const specs = [...files.matchAll(/add_spec\(api, "([^"]+)"/g)].map((m) => `GET ${m[1]}`);
    const pages = [...files.matchAll(/\{ "docs\/\w+\.html", "([^"]+)" \}/g)].map((m) => `GET ${m[1]}`);
    assert.ok(table.length > 40 && specs.length === 2 && pages.length === 2, `${table.length} ${specs.length} ${pages.length}`);
    return [...table, ...specs, ...pages];
  };
  const plain = (name) => name.replace(/\{\w+\}|:\w+/g, '{}');

  it('every route is described, and nothing else is', () => {
    assert.deepEqual(operations.map((o) => plain(o.name)).sort(), routes().map(plain).sort());
  });

  it('the running server knows every operation, and other methods on its path get 405 with what it takes', async () => {
    for (const target of Object.keys(api.paths)) {
      const url = target.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(rows[name]));
      // "bulk" may also be the id of an item: what another template says of the address counts, too.
      const is = (template) => new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(url);
      const methods = [...new Set(Object.entries(api.paths).filter(([t]) => is(t)).flatMap(([, i]) => Object.keys(i)))].filter((m) => m !== 'parameters').map((m) => m.toUpperCase());
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        // No token: what is known is refused for that, not for its address.
        const res = await request(server.port, method, url, {});
        if (methods.includes(method)) {
          assert.ok(![404, 405].includes(res.status), `${method} ${target}: ${res.status}`);
          continue;
        }
        assert.equal(res.status, 405, `${method} ${target}`);
        assert.deepEqual(res.headers.allow.split(', ').filter((m) => !['HEAD', 'OPTIONS'].includes(m)).sort(), methods.sort(), target);
        assert.equal(holds(api.components.schemas.Problem, res.json), undefined);
      }
    }
  });

  it('who may call is what the table says', () => {
    const text = source('server/api/routes.h').replace(/PROJECT "/g, '"/api/projects/:project').replace(/PROJECT,/g, '"/api/projects/:project",');
    const who = { AUTH_NONE: undefined, AUTH_USER: 'userToken', AUTH_MEMBER: 'userToken', AUTH_SERVICE: 'serviceKey' };
    let n = 0;
    for (const [, method, pattern, auth] of text.matchAll(/^\s*X\("(\w+)", "([^"]*)", (AUTH_\w+)/gm)) {
      n++;
      assert.equal(operations.find((o) => plain(o.name) === plain(`${method} ${pattern}`)).security, who[auth], `${method} ${pattern}`);
    }
    assert.ok(n > 40, `${n} rows`);
  });

  // The arguments of each call of one of these functions.
  function argumentsOf(text, names) {
    const out = [];
    for (const m of text.matchAll(new RegExp(`\\b(${Object.keys(names).join('|')})\\(`, 'g'))) {
      const args = [''];
      for (let i = m.index + m[0].length, depth = 1, quote = false; depth > 0; i++) {
        const c = text[i];
        if (c === '"' && text[i - 1] !== '\\') quote = !quote;
        if (!quote) depth += c === '(' ? 1 : c === ')' ? -1 : 0;
        if (!quote && depth === 1 && c === ',') args.push('');
        else if (depth > 0) args[args.length - 1] += c;
      }
      out.push(args[names[m[1]]] ?? '');
    }
    return out.flatMap((a) => [...a.matchAll(/"(\w+)"/g)].map((m) => m[1]));
  }

  const tokens = [...source('server/auth/token.h').matchAll(/X\(\w+, "(token_\w+)"\)/g)].map((m) => m[1]);

  it('the codes of problems are those of the sources', () => {
    const api_c = sources('server/api'), host = source('src/host/route.c') + source('src/host/dispatch.c');
    const codes = new Set([
      ...argumentsOf(api_c, { respond_problem: 2, respond_later: 2, problem_open: 2 }),
      ...argumentsOf(host, { reply_problem: 3, put_problem: 3 }),
      ...[...host.matchAll(/\{ \d{3}, "(\w+)", "/g)].map((m) => m[1]),
      ...[...(api_c + host + source('src/net/listen.c')).matchAll(/\\"code\\":\\"(\w+)\\"/g)].map((m) => m[1]),
      ...tokens,
    ]);
    codes.delete('upgrade_required'); // of programs that have WebSockets of their own (sio_ws_route)
    assert.deepEqual([...codes].sort(), [...api.components.schemas.ProblemCode.enum].sort());
  });

  it('the codes of error events and refusals are those of the sources', () => {
    const collab = sources('server/collab');
    const codes = new Set([...tokens, ...argumentsOf(collab, { emit_error: 2, emit_error_project: 2, emit_error_event: 1, emit_error_ack: 2, refresh_fail: 2 })]);
    assert.deepEqual([...codes].sort(), [...events.components.schemas.ErrorCode.enum].sort());
    const refusals = [...collab.matchAll(/\[REFUSE_\w+\] = \{ "(\w+)"/g)].map((m) => m[1]);
    assert.ok(refusals.length > 3);
    assert.deepEqual(refusals.sort(), [...events.components.schemas.Refusal.properties.data.properties.code.enum].sort());
  });

  it('the events that clients may send are those of the table', () => {
    const table = [...source('server/collab/collab.c').matchAll(/^\t\{ "([\w:]+)", \w+ \},$/gm)].map((m) => m[1]);
    assert.ok(table.length >= 8);
    assert.deepEqual(table.sort(), received().map((m) => m.name).sort());
  });
});

describe('types for TypeScript', () => {
  it('web/events.d.ts and the events of the React package are what the document says', async () => {
    const got = await run(path.join(ROOT, 'scripts/make-types'), ['--check']);
    assert.equal(got.code, 0, got.stderr);
  });

  // What the compiler says of a program with these lines, with the stock client's own types: [line, text].
  // The types are given as a source, too, so that they themselves are looked at.
  function compile(lines) {
    const file = path.join(ROOT, 'tests/server/types-of-a-program.ts'), types = file.replace('program', 'document'); // only in memory
    const head = [
      "import { io, type Socket } from 'socket.io-client';",
      "import type { Answers, Auth, ClientToServerEvents, ServerToClientEvents } from './types-of-a-document.js';",
      "export const auth: Auth = { token: 'x', projects: ['proj-123'] };",
      "export const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io('http://127.0.0.1', { auth });",
    ];
    const texts = { [file]: [...head, ...lines].join('\n'), [types]: source('web/events.d.ts') };
    const options = { noEmit: true, strict: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022, types: [] };
    const host = ts.createCompilerHost(options);
    const [read, exists] = [host.getSourceFile, host.fileExists];
    host.getSourceFile = (name, ...rest) => (texts[name] === undefined ? read(name, ...rest) : ts.createSourceFile(name, texts[name], ts.ScriptTarget.ES2022));
    host.fileExists = (name) => texts[name] !== undefined || exists(name);
    return ts.getPreEmitDiagnostics(ts.createProgram(Object.keys(texts), options, host)).map((d) => [
      d.file?.fileName === file ? d.file.getLineAndCharacterOfPosition(d.start).line - head.length : d.file?.fileName,
      ts.flattenDiagnosticMessageText(d.messageText, '\n'),
    ]);
  }

  it('a program that does right compiles', () => {
    const on = sent().map((m) => `socket.on('${m.name}', (data) => { data; });`);
    const emit = received().map((m) => `socket.emit('${m.name}', ${JSON.stringify(m.examples[0].payload)}, (answer) => { answer.ok; });`);
    assert.deepEqual(compile([...on, ...emit,
      "socket.emit('cursor:move', { project_id: 'proj-123', cursor: { x: 1 } });",
      "socket.on('boq:item:updated', (data) => { const qty: number | undefined = data.updates.qty; return qty; });",
      "socket.emitWithAck('join_project', { project_id: 'proj-123' }).then((answer: Answers['join_project']) => (answer.ok ? answer.users[0]?.name : answer.error.code));"]), []);
  });

  it('a program that does wrong does not', () => {
    const wrong = [
      ["socket.on('boq:item:updatet', () => {});", /updatet/],
      ["socket.on('boq:item:updated', (data) => data.no_such);", /no_such/],
      ["socket.emit('join_project', { project: 'proj-123' });", /project/],
      ["socket.emit('join_project', { project_id: 7 });", /number/],
      ["socket.emit('join_project', { project_id: 'x' }, (answer) => answer.users);", /users/],
    ];
    const got = compile(wrong.map(([line]) => line));
    assert.deepEqual(got.map(([line]) => line), wrong.map((_, i) => i), JSON.stringify(got));
    for (const [i, [line, why]] of wrong.entries()) assert.match(got[i][1], why, line);
  });
});

// The messages of one direction, packets of the protocol left out.
const messages = (action) =>
  Object.values(events.operations).filter((o) => o.action === action).map((o) => ({ ...resolve(events, resolve(events, o.messages[0])), ack: o.reply && resolve(events, o.reply.messages[0])?.payload })).filter((m) => !m['x-packet']);
const received = () => messages('receive');
const sent = () => messages('send').filter((m) => m.name !== '*');

describe('requests made from the document', () => {
  beforeEach(rowsThere);

  it('each operation’s own example is answered as it says', async () => {
    const last = (op) => (op.method !== 'DELETE' ? 0 : op.operationId === 'deleteProject' ? 2 : 1);
    for (const op of [...operations].sort((a, b) => last(a) - last(b))) {
      if (op.path.startsWith('/docs')) continue; // in a browser, below
      const res = await call(op, { json: op.body?.example });
      assert.ok(res.status < 300, `${op.name}: ${res.status} ${res.body}`);
    }
  });

  it('good bodies are taken: the least, the full, each member at its bounds', async () => {
    let n = 0;
    for (const op of operations.filter((o) => o.body)) {
      const bodies = goodBodies(api, op.body.schema, fits).filter(([what]) => op.operationId !== 'login' || ['least', 'full'].includes(what));
      for (const [what, body] of bodies) {
        assert.equal(fits(op.body.schema, body), undefined, `${op.name}, ${what}: the test's own body`);
        const res = await call(op, { json: await fitting(op, body) });
        assert.ok(res.status < 300, `${op.name}, ${what}: ${res.status} ${res.body}`);
        n++;
      }
    }
    assert.ok(n > 250, `${n} bodies`);
  });

  it('a body that breaks one rule is refused, and the answer names the member', async () => {
    let n = 0;
    for (const op of operations.filter((o) => o.body))
      for (const [what, body, member] of badBodies(api, op.body.schema, fits)) {
        assert.notEqual(fits(op.body.schema, body), undefined, `${op.name}, ${what}: the test's own body is good`);
        const res = await call(op, { json: body });
        assert.ok([400, 422].includes(res.status), `${op.name}, ${what}: ${res.status} ${res.body}`);
        if (res.status === 422 && member) assert.equal(res.json.field, member, `${op.name}, ${what}: ${res.body}`);
        n++;
      }
    assert.ok(n > 500, `${n} bodies`);
  });

  it('what is no JSON object is refused', async () => {
    for (const op of operations.filter((o) => o.body)) {
      for (const [body, status] of [['{', 400], ['{"a":1,"a":2}', [400, 422]], ['[]', 422], ['"text"', 422], ['7', 422], ['null', 422], [`${'['.repeat(2000)}${']'.repeat(2000)}`, 400]]) {
        const res = await call(op, { body, headers: { 'content-type': 'application/json' } });
        assert.ok([status].flat().includes(res.status), `${op.name}, ${body.slice(0, 20)}: ${res.status} ${res.body}`);
      }
      if (resolve(api, op.requestBody).required) assert.equal((await call(op)).json.code, 'body_missing', op.name);
      const json = JSON.stringify(op.body.example);
      assert.equal((await call(op, { body: json, headers: { 'content-type': 'text/plain' } })).json.code, 'media_type', op.name);
      assert.equal((await call(op, { body: json, headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } })).json.code, 'content_coding', op.name);
    }
  });

  it('items of a bulk change that break a rule are skipped, with why', async () => {
    const op = named('changeItems');
    const schema = { $ref: '#/components/schemas/BulkChange' };
    const bad = badBodies(api, schema, fits);
    const good = goodBodies(api, schema, fits).filter(([what]) => !what.startsWith('version') && what !== 'full');
    const updates = [...bad.map(([, body]) => body), ...good.map(([, body]) => ({ qty: 1, ...body, item_id: 'item-789' }))];
    const res = await call(op, { json: { updates } });
    assert.deepEqual([res.status, res.json.total, res.json.skipped], [200, updates.length, bad.length], JSON.stringify(res.json?.why).slice(0, 2000));
  });

  it('parameters that break a rule are refused', async () => {
    let n = 0;
    for (const op of operations)
      for (const p of op.parameters.filter((one) => one.in !== 'path')) {
        const wrong = badTexts(api, p.schema, fits).filter((text) => p.in === 'query' || /^[ -~]*\S$/.test(text)); // what Node sends in a header
        for (const text of wrong) {
          const json = op.body && (await fitting(op, op.body.example));
          const at = p.in === 'query' ? { query: `?${p.name}=${encodeURIComponent(text)}` } : { headers: { [p.name]: text } };
          const res = await call(op, { json, ...at });
          assert.equal(res.status, p.name === 'Idempotency-Key' ? 400 : 422, `${op.name}, ${p.name}=${text}: ${res.status} ${res.body}`);
          n++;
        }
      }
    assert.ok(n > 80, `${n} parameters`);
    for (const id of ['listItems', 'listTasks', 'listNotifications']) assert.equal((await call(named(id), { query: '?cursor=garbage' })).status, 422, id);
    assert.equal((await call(named('listComments'), { query: '?item_id=item-789&task_id=1' })).status, 422);
    for (const op of operations)
      for (const p of op.parameters.filter((one) => one.in === 'path')) {
        for (const value of badTexts(api, p.schema, fits).filter((text) => text !== '')) {
          const bad = await call(op, { params: { [p.name]: value }, json: op.body?.example });
          assert.equal(bad.status, 404, `${op.name}, ${p.name}=${value}: ${bad.body}`);
        }
        const broken = await request(server.port, op.method, op.path.replace(`{${p.name}}`, '%zz').replace(/\{(\w+)\}/g, (_, name) => rows[name]));
        holdAnswer(api, holds, op, broken);
        assert.deepEqual([broken.status, broken.json.code], [400, 'bad_path'], op.name);
      }
  });

  it('who may not is refused: no token, a bad one, an old one, a stranger, a lower role, a foreign page', async () => {
    for (const op of operations) {
      const json = op.body?.example;
      if (op.security) {
        const codes = op.security === 'userToken' ? ['token_missing', 'token_invalid'] : ['service_key_missing', 'service_key_wrong'];
        assert.equal((await call(op, { as: null, json })).json.code, codes[0], op.name);
        assert.equal((await call(op, { as: null, json, headers: { authorization: 'Bearer nonsense' } })).json.code, codes[1], op.name);
      }
      if (op.security === 'userToken') {
        const old = await call(op, { as: null, json, headers: { authorization: `Bearer ${server.token(OWNER, { ttl: -3600 })}` } });
        assert.equal(old.json.code, 'token_expired', op.name);
        if (op.path.includes('{project_id}')) assert.equal((await call(op, { as: STRANGER, json })).status, 404, op.name);
        if (op.responses[403]) assert.equal((await call(op, { as: VIEWER, json, params: { user_id: EDITOR } })).json.code, 'forbidden', op.name);
        if (!op.responses[403] && op.path.includes('{project_id}')) assert.equal((await call(op, { as: VIEWER })).status, 200, op.name);
      }
      const foreign = await call(op, { json, headers: { origin: 'https://elsewhere.example' } });
      assert.deepEqual([foreign.status, foreign.json.code], [403, 'origin_refused'], op.name);
    }
  });

  it('outdated versions, taken ids, keys used twice', async () => {
    for (const op of operations.filter((o) => o.parameters.some((p) => p.name === 'If-Match'))) {
      const res = await call(op, { json: op.body && (await fitting(op, op.body.example)), headers: { 'if-match': '"4711"' } });
      assert.deepEqual([res.status, res.json.code], [409, 'conflict'], op.name);
    }
    for (const [id, json] of [['addProject', { project_id: 'proj-123', name: 'x' }], ['addItem', { item_id: 'item-789' }]]) assert.equal((await call(named(id), { json })).json.code, 'exists', id);
    for (const op of operations.filter((o) => o.parameters.some((p) => p.name === 'Idempotency-Key'))) {
      const headers = { 'idempotency-key': `key of ${op.operationId}` };
      const json = await fitting(op, op.body.example);
      const [first, again] = [await call(op, { json, headers }), await call(op, { json, headers })];
      assert.ok(first.status < 300, `${op.name}: ${first.body}`);
      assert.equal(again.status, first.status, op.name);
      const member = Object.keys(json).find((k) => typeof json[k] === 'string' && !/_id$/.test(k)) ?? Object.keys(json)[0];
      const other = { ...json, [member]: { role: 'viewer', qty: 7, status: 'todo', updates: op.operationId === 'changeItems' ? [] : { other: 1 } }[member] ?? (typeof json[member] === 'object' ? { other: 1 } : `${json[member]}-other`) };
      const used = await call(op, { json: other, headers });
      assert.deepEqual([used.status, used.json.code], [409, 'refused'], `${op.name}: ${used.body}`);
    }
  });

  it('the last owner stays', async () => {
    assert.equal((await call(named('deleteCollaborator'), { params: { user_id: OWNER } })).json.code, 'refused');
    assert.equal((await call(named('putCollaborator'), { params: { user_id: OWNER }, json: { role: 'viewer' } })).json.code, 'refused');
  });

  it('what is not there', async () => {
    const none = { item_id: 'no-such', task_id: 4711, comment_id: 4711, id: 4711, user_id: 'no-such', project_id: 'no-such' };
    for (const op of operations.filter((o) => o.responses[404] && o.security === 'userToken')) {
      const last = [...op.path.matchAll(/\{(\w+)\}/g)].at(-1)[1];
      const json = op.body && op.body.example;
      const res = await call(op, { json, params: { [last]: none[last] } });
      if (op.operationId === 'putCollaborator') assert.equal(res.json.code, 'refused'); // makes one, of a user who must be there
      else assert.equal(res.json?.code, 'not_found', `${op.name}: ${res.status} ${res.body}`);
    }
  });

  it('too many logins, no service key, no login, a body too large', async () => {
    let res;
    for (let i = 0; i < 20 && res?.status !== 429; i++) res = await call(named('login'), { json: { username: STRANGER, password: 'guess' } });
    assert.equal(res.status, 429);
    const large = await call(named('broadcastEmit'), { json: { room: 'x', event: 'x', data: 'x'.repeat(1100000) } });
    assert.equal(large.json.code, 'too_large');
    for (const id of ['readTrace', 'endTrace']) assert.equal((await call(named(id), { params: { trace_id: 'nobody' } })).json.code, 'not_found');
    const main = server;
    const other = await startServer({ fill: 'none', env: { SERVICE_API_KEY: undefined, JWT_ALGORITHMS: 'RS256', JWT_PUBLIC_KEY: publicKey() } });
    try {
      server = other;
      for (const op of operations.filter((o) => o.security === 'serviceKey')) assert.equal((await call(op, { as: null, json: op.body?.example })).json.code, 'service_key_unset', op.name);
      assert.equal((await call(named('login'), { json: named('login').body.example })).json.code, 'login_unavailable');
    } finally {
      server = main;
      await other.stop();
    }
  });

  it('every documented status was seen, but those of a server at its end', () => {
    const unseen = operations.flatMap((op) =>
      Object.keys(op.responses).filter((s) => !['503', 'default', '304'].includes(s) && !op.path.startsWith('/docs') && !seen.get(op.name)?.has(s)).map((s) => `${op.name}: ${s}`));
    assert.deepEqual(unseen, []);
  });
});

function publicKey() {
  const file = path.join(server.dir, 'public.pem');
  writeFileSync(file, generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }));
  return file;
}

describe('events', () => {
  const told = new Map(); // event's name -> how often it came and fitted
  const errors = new Set();
  let checks, ours;

  // A client whose every event is held to the document when it comes.
  function listen(client) {
    client.socket.onAny((name, ...args) => {
      if (ours.has(name)) return;
      const message = sent().find((m) => m.name === name);
      try {
        assert.ok(message, `the server sent ${name}, which is not described`);
        if (message['x-kept']) assert.match(args.splice(1).join(), /^([1-9]\d*|-)$/, `the offset of ${name}`);
        assert.equal(args.length, 1, `${name} has ${args.length} arguments`);
        const wrong = checks(message.payload, args[0]);
        assert.equal(wrong, undefined, `${name} ${JSON.stringify(args[0])}: ${wrong}`);
        told.set(name, (told.get(name) ?? 0) + 1);
        if (name === 'error') errors.add(args[0].code);
      } catch (error) {
        failures.push(error);
      }
    });
    return client;
  }
  const failures = [];
  const enter = async (user, { project = 'proj-123', ...options } = {}) => {
    const client = listen(pool.open(server.url, { auth: { token: server.token(user) }, transports: ['websocket'], name: user, ...options }));
    await client.connected();
    if (project) await ask(client, 'join_project', { project_id: project });
    return client;
  };

  // Send an event with its payload held to the document, and its acknowledgement.
  async function ask(client, name, payload, { bad = false } = {}) {
    const message = received().find((m) => m.name === name);
    if (!bad) assert.equal(checks(message.payload, payload), undefined, `${name} ${JSON.stringify(payload)}`);
    const answer = await client.ask(name, ...(payload === undefined ? [] : [payload]));
    const wrong = checks(message?.ack ?? { $ref: '#/components/schemas/AckRefused' }, answer);
    assert.equal(wrong, undefined, `acknowledgement of ${name}: ${JSON.stringify(answer)}: ${wrong}`);
    if (!bad) assert.ok(answer.ok, `${name}: ${JSON.stringify(answer)}`);
    else assert.ok(!answer.ok && errors.add(answer.error.code), `${name}: ${JSON.stringify(answer)}`);
    return answer;
  }
  const refused = (client, name, payload) => ask(client, name, payload, { bad: true });
  const ok = async (id, options) => {
    const res = await call(named(id), options);
    assert.ok(res.status < 300, `${id}: ${res.status} ${res.body}`);
    return res.json;
  };

  before(async () => {
    checks = validator(events, { closed: true });
    ours = new Set(['site:weather']);
  });
  beforeEach(rowsThere);
  after(() => pool.close());

  it('among clients: joining, presence, cursors, typing', async () => {
    const owner = await enter(OWNER), editor = await enter(EDITOR, { auth: { token: server.token(EDITOR), projects: ['proj-123'] }, project: null });
    await editor.event('joined_project');
    await owner.event('user:joined');
    for (const message of received())
      for (const { payload } of message.examples) {
        if (message.name === 'auth:refresh') continue;
        await ask(editor, 'join_project', { project_id: 'proj-123' });
        await ask(editor, message.name, payload);
      }
    await owner.event('user:left');
    for (const name of ['cursor:moved', 'typing:started', 'typing:stopped', 'presence:updated']) await owner.event(name);
    await ask(editor, 'presence:list', { project_id: 'proj-123' });
    const left = await ask(owner, 'auth:refresh', { token: server.token(OWNER, { ttl: 7200 }) });
    assert.ok(left.expires_in > 3600);
  });

  it('of changes by REST', async () => {
    const client = await enter(VIEWER);
    for (const method of ['PATCH', 'POST', 'DELETE'])
      for (const op of operations.filter((o) => o.method === method && o.path.startsWith('/api/projects/{project_id}/'))) {
        await rowsThere();
        const params = op.path.includes('{user_id}') ? { user_id: EDITOR } : {};
        await ok(op.operationId, { json: op.body && (await fitting(op, op.body.example)), params });
      }
    await rowsThere();
    await ok('changeProject', { json: { name: 'Riverside Tower', description: 'new' } });
    for (const name of sent().filter((m) => m['x-kept'] === 'project').map((m) => m.name)) await client.event(name);
    await client.event('notification:new', (d) => d.kind === 'task_assigned');
    await ok('addComment', { json: { text: `@${VIEWER} look`, task_id: rows.task_id } });
    await client.event('notification:new', (d) => d.kind === 'mention');
  });

  it('what is kept is what was sent', async () => {
    const client = await enter(VIEWER, { project: null });
    const joined = await ask(client, 'join_project', { project_id: 'proj-123' });
    await ok('addItem', { json: { code: '1' } });
    const live = await client.event('boq:item:created');
    const kept = await ok('listEvents', { query: `?after=${joined.seq}` });
    assert.deepEqual(kept.items.map((e) => [e.type, e.data]), [['boq:item:created', live]]);
    let after = 0, n = 0;
    do {
      const page = await ok('listEvents', { query: `?after=${after}` });
      for (const e of page.items) {
        const message = sent().find((m) => m.name === e.type);
        if (!message && /^x+$|^Größe|^site:/.test(e.type)) continue; // names that a back end chose, above
        const wrong = message ? checks(message.payload, e.data) : 'not described';
        assert.equal(wrong, undefined, `${e.type} ${JSON.stringify(e.data)}`);
        n++;
      }
      after = page.next_after;
    } while (after !== null);
    assert.ok(n > 50, `${n} events`);
  });

  it('of back ends', async () => {
    const client = await enter(VIEWER);
    client.events.clear();
    for (const op of operations.filter((o) => o.path.startsWith('/api/broadcast/'))) await ok(op.operationId, { json: op.body.example });
    for (const name of ['boq:item:updated', 'boq:bulk:updated', 'task:updated', 'comment:created', 'notification:new', 'site:weather']) await client.event(name);
  });

  it('of access that ends', async () => {
    const client = await enter(EDITOR);
    await ok('deleteCollaborator');
    await client.event('collaborator:changed', (d) => d.role === null);
    await client.event('access:revoked');
    await rowsThere();
    await ask(client, 'join_project', { project_id: 'proj-123' });
    await ok('deleteProject');
    await client.event('project:deleted');
    await client.event('access:revoked');
  });

  it('refusals, each with its code', async () => {
    const client = await enter(OWNER, { project: null, auth: { token: server.token(OWNER), projects: [...Array(101)].map((_, i) => `none-${i}`) } });
    await client.event('error', (e) => e.code === 'too_many_projects');
    assert.equal((await refused(client, 'join_project', { project_id: 'no-such' })).error.code, 'access_denied');
    assert.equal((await refused(client, 'cursor:move', { project_id: 'proj-123', cursor: 1 })).error.code, 'not_joined');
    await ask(client, 'join_project', { project_id: 'proj-123' });
    for (const message of received()) {
      const least = message.examples[0].payload;
      for (const name of resolve(events, message.payload).required) {
        const part = Object.fromEntries(Object.entries(least).filter(([k]) => k !== name));
        await refused(client, message.name, part);
      }
      for (const wrong of [undefined, [], 'text', 7, null]) await refused(client, message.name, wrong);
    }
    const long = 'x'.repeat(1023); // and its quotes
    for (const [name, member] of [['cursor:move', 'cursor'], ['presence:update', 'state'], ['typing:start', 'target'], ['typing:stop', 'target']])
      assert.equal((await refused(client, name, { project_id: 'proj-123', [member]: long })).error.code, 'too_large', name);
    await ask(client, 'cursor:move', { project_id: 'proj-123', cursor: long.slice(1) });
    await ask(client, 'presence:update', { project_id: 'proj-123', state: long.slice(1) });
    await ask(client, 'typing:start', { project_id: 'proj-123', target: 'x'.repeat(254) });
    assert.equal((await refused(client, 'no:such:event', {})).error.code, 'unknown_event');
    for (const [token, code] of [[server.token(EDITOR), 'user_mismatch'], ['abc', 'token_invalid'], [server.token(OWNER, { ttl: -3600 }), 'token_expired']])
      assert.equal((await refused(client, 'auth:refresh', { token })).error.code, code);
    assert.equal((await refused(client, 'auth:refresh', {})).error.code, 'token_missing');
  });

  it('limits and ends of a token', async () => {
    const main = server;
    server = await startServer({ fill: (cli) => fill(cli).then(() => cli(['project', 'add', 'proj-456', '--name', 'x', '--owner', OWNER])).then(() => cli(['project', 'add', 'proj-789', '--name', 'x', '--owner', OWNER])), env: { RATE_LIMIT_EVENTS: 20, MAX_ROOMS_PER_CONNECTION: 2, MAX_CONNECTIONS_PER_USER: 1, JWT_LEEWAY: 0 } });
    try {
      const short = await enter(OWNER, { project: null, auth: { token: server.token(OWNER, { ttl: 3 }) } });
      await short.event('token:expiring');
      await ask(short, 'join_project', { project_id: 'proj-123' });
      await ask(short, 'join_project', { project_id: 'proj-456' });
      await refused(short, 'join_project', { project_id: 'proj-789' });
      await short.event('error', (e) => e.code === 'token_expired');
      await short.events.next((e) => e.local && e.name === 'disconnect', { what: 'disconnect' });
      const flood = await enter(EDITOR);
      for (let i = 0; i < 100; i++) flood.emit('presence:list', { project_id: 'proj-123' });
      await flood.event('error', (e) => e.code === 'rate_limited');
      const refusals = new Set();
      for (const auth of [{}, { token: 'abc' }, { token: server.token(OWNER, { ttl: -60 }) }, { token: server.token(EDITOR) }]) {
        const client = new Client(server.url, { auth, transports: ['websocket'] });
        const error = await client.event('connect_error');
        client.close();
        const wrong = checks({ $ref: '#/components/schemas/Refusal' }, { message: error.message, data: error.data });
        assert.equal(wrong, undefined, `${error.message} ${JSON.stringify(error.data)}: ${wrong}`);
        refusals.add(error.data.code);
      }
      assert.deepEqual([...refusals].sort(), ['token_expired', 'token_invalid', 'token_missing', 'too_many_connections']);
    } finally {
      pool.close();
      await server.stop();
      server = main;
    }
  });

  it('every event and every code that is described was seen, and nothing else', () => {
    assert.deepEqual(failures.map((e) => e.message), []);
    assert.deepEqual(sent().map((m) => m.name).filter((name) => !told.has(name)), []);
    const unseen = events.components.schemas.ErrorCode.enum.filter((code) => !errors.has(code));
    assert.deepEqual(unseen, ['unavailable']); // a store that does not answer, or no memory
  });
});

describe('the pages', { skip: !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no browser: install chromium (scripts/setup test)' }, () => {
  const SHOTS = path.join(ROOT, 'build/screenshots');
  let browser;
  const said = [];

  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    await rowsThere();
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  });
  after(() => browser?.close());

  async function open(target, { scheme = 'light', width = 1200 } = {}) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
    // There is nothing but the server: what else is asked for is told and not answered.
    await context.route((url) => url.origin !== server.url, (route) => (said.push(`foreign: ${route.request().url()}`), route.abort()));
    const page = await context.newPage();
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && said.push(m.text()));
    page.on('pageerror', (e) => said.push(String(e)));
    const answer = await page.goto(server.url + target);
    assert.equal(answer.status(), 200);
    const policy = answer.headers()['content-security-policy'];
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    return page;
  }

  it('/docs shows every operation, and tries one with a token', async () => {
    const page = await open('/docs');
    await page.locator('.opblock').first().waitFor();
    assert.equal(await page.locator('.opblock').count(), operations.length);
    await page.locator('button.authorize').first().click();
    await page.getByLabel('auth-bearer-value').first().fill(server.token(OWNER));
    await page.locator('.auth-btn-wrapper button.authorize').first().click();
    await page.locator('.auth-btn-wrapper .btn-done').first().click();
    const op = page.locator('#operations-BoQ-changeItem');
    await op.locator('.opblock-summary-control').click();
    await op.locator('.try-out__btn').click();
    await op.locator('textarea').fill('{"qty": "148.25"}');
    const version = (await call(named('getItem'))).json.version;
    await op.locator('button.execute').click();
    await op.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
    const item = (await call(named('getItem'))).json;
    assert.deepEqual([item.qty, item.version], [148.25, version + 1]);
    await page.context().close();
  });

  it('/docs/events shows every message, and finds one', async () => {
    const page = await open('/docs/events');
    await page.locator('article').first().waitFor();
    assert.equal(await page.locator('article').count(), Object.keys(events.operations).length);
    for (const message of [...sent(), ...received()]) assert.ok((await page.locator(`article[data-name="${message.name}"] table`).count()) >= 1, message.name);
    await page.locator('#filter').fill('boq:bulk');
    await page.locator('article[data-name="cursor:moved"]').waitFor({ state: 'hidden' });
    assert.ok(await page.locator('article[data-name="boq:bulk:updated"]').isVisible());
    await page.context().close();
  });

  it('both are whole in the dark and on a phone', async () => {
    for (const [scheme, width] of [['dark', 1200], ['light', 390]])
      for (const [name, target, ready] of [['api', '/docs#/BoQ/changeItem', '#operations-BoQ-changeItem .responses-wrapper'], ['events', '/docs/events#boq.item.updated', 'article']]) {
        const page = await open(target, { scheme, width });
        await page.locator(ready).first().waitFor();
        const { wide, dark } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, dark: getComputedStyle(document.body).backgroundColor }));
        assert.ok(wide <= width, `${target} at ${width}: ${wide} wide`);
        assert.equal(dark, scheme === 'dark' ? 'rgb(19, 22, 25)' : 'rgb(246, 247, 248)');
        await page.screenshot({ path: path.join(SHOTS, `docs-${name}-${scheme}-${width}.png`) });
        await page.context().close();
      }
  });

  it('the page at / leads there', async () => {
    const { body } = await request(server.port, 'GET', '/');
    assert.match(body, /href="\/docs"/);
    for (const op of operations.filter((o) => o.path.startsWith('/docs'))) {
      const res = await call(op);
      assert.equal((await call(op, { headers: { 'if-none-match': res.headers.etag } })).status, 304);
    }
  });

  it('nothing went wrong in the console, nothing was asked of others', () => assert.deepEqual(said, []));
});

// The REST API and the back-end broadcasts, with a connected client that sees
// what each of them tells.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { PASSWORD, startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { unmarked, unnumbered } from './lib/payload.mjs';
import { until } from './lib/queue.mjs';

let server;
const pool = clientPool();
const api = (...args) => server.api(...args);
const member = (name, more) => pool.user(server, name, { project: 'proj-123', ...more });
const ITEM = { code: '03.2', description: 'Concrete C30/37, slabs', unit: 'm3', qty: '148.50', unit_price: '182.40', section: '03 Concrete' };

async function newItem(fields = {}, as = 'anna') {
  const res = await api('POST', '/api/projects/proj-123/boq', { as, body: { ...ITEM, ...fields } });
  assert.equal(res.status, 201, res.body);
  return res.json;
}

// An RFC 9457 problem with the status and the code.
function problem(res, status, code) {
  assert.equal(res.status, status, res.body);
  assert.match(res.headers['content-type'], /^application\/problem\+json/);
  assert.equal(res.json.status, status);
  assert.equal(typeof res.json.title, 'string');
  if (code) assert.equal(res.json.code, code);
  else assert.equal(typeof res.json.code, 'string');
}

before(async () => {
  server = await startServer();
});
afterEach(() => pool.close());
after(() => server?.stop());

describe('login', () => {
  it('gives a token that REST and Socket.IO take', async () => {
    const res = await request(server.port, 'POST', '/api/auth/login', { json: { username: 'anna', password: PASSWORD('anna') } });
    assert.equal(res.status, 200, res.body);
    assert.equal(res.json.token_type.toLowerCase(), 'bearer');
    assert.ok(res.json.expires_in > 0);
    assert.equal(res.headers['cache-control'], 'no-store');
    const list = await api('GET', '/api/projects', { key: res.json.access_token });
    assert.equal(list.status, 200);
    const c = pool.open(server.url, { auth: { token: res.json.access_token }, transports: ['websocket'] });
    assert.equal((await c.event('connected')).user_id, 'anna');
  });

  it('a wrong password and an unknown user look the same', async () => {
    const answers = [];
    for (const username of ['anna', 'nobody'])
      answers.push(await request(server.port, 'POST', '/api/auth/login', { json: { username, password: 'wrong' } }));
    for (const res of answers) problem(res, 401);
    assert.equal(answers[0].body, answers[1].body);
  });

  it('is limited in rate, with Retry-After', async () => {
    let res;
    for (let i = 0; i < 30 && res?.status !== 429; i++)
      res = await request(server.port, 'POST', '/api/auth/login', { json: { username: 'ben', password: `guess ${i}` } });
    problem(res, 429);
    assert.ok(Number(res.headers['retry-after']) >= 1);
  });

  for (const body of ['', '{', '[]', '{"username":"anna"}', '{"username":1,"password":"x"}', '{"username":"a","username":"b","password":"x"}'])
    it(`refuses the body ${body || '(none)'}`, async () => {
      const res = await request(server.port, 'POST', '/api/auth/login', { headers: { 'content-type': 'application/json' }, body });
      assert.ok([400, 422, 429].includes(res.status), res.body);
      problem(res, res.status);
    });
});

describe('who may', () => {
  for (const [name, headers, code] of [
    ['no token', {}, 'token_missing'],
    ['no JWT', { authorization: 'Bearer abc' }, 'token_invalid'],
    ['another scheme', { authorization: 'Basic YTpi' }, 'token_missing'],
  ])
    it(`${name}: 401`, async () => {
      const res = await request(server.port, 'GET', '/api/projects', { headers });
      problem(res, 401, code);
      assert.match(res.headers['www-authenticate'], /^Bearer/);
    });

  it('an expired token: 401 token_expired', async () => {
    problem(await api('GET', '/api/projects', { key: server.token('anna', { ttl: -3600 }) }), 401, 'token_expired');
  });

  it('a project one is no member of is not told from one that is not there', async () => {
    const [a, b] = [await api('GET', '/api/projects/proj-123/boq', { as: 'dora' }), await api('GET', '/api/projects/none/boq', { as: 'dora' })];
    assert.ok([403, 404].includes(a.status), a.body);
    problem(a, a.status);
    assert.equal(a.body, b.body);
  });

  // role by user: anna owner, ben editor, eve commenter, cleo viewer
  for (const [method, path, body, allowed] of [
    ['GET', '/api/projects/proj-123', undefined, 'anna ben eve cleo'],
    ['GET', '/api/projects/proj-123/boq', undefined, 'anna ben eve cleo'],
    ['GET', '/api/projects/proj-123/collaborators', undefined, 'anna ben eve cleo'],
    ['POST', '/api/projects/proj-123/boq', ITEM, 'anna ben'],
    ['POST', '/api/projects/proj-123/boq/bulk', { updates: [] }, 'anna ben'],
    ['PATCH', '/api/projects/proj-123', { name: 'Riverside Tower' }, 'anna'],
    ['PUT', '/api/projects/proj-123/collaborators/eve', { role: 'commenter' }, 'anna'],
  ])
    it(`${method} ${path}: ${allowed}`, async () => {
      for (const user of ['anna', 'ben', 'eve', 'cleo']) {
        const res = await api(method, path, { as: user, body });
        if (allowed.split(' ').includes(user)) assert.ok(res.status < 300 || res.status === 422, `${user}: ${res.status} ${res.body}`);
        else problem(res, 403);
      }
    });
});

describe('projects', () => {
  it('are listed with one’s role', async () => {
    const res = await api('GET', '/api/projects', { as: 'anna' });
    assert.equal(res.status, 200);
    assert.deepEqual(Object.fromEntries(res.json.items.map((p) => [p.project_id, p.role])), { 'proj-123': 'owner', 'proj-456': 'editor' });
    assert.equal(res.json.next_cursor, null);
    assert.deepEqual((await api('GET', '/api/projects', { as: 'dora' })).json.items, []);
  });

  it('pages', async () => {
    const first = await api('GET', '/api/projects?limit=1', { as: 'anna' });
    assert.equal(first.json.items.length, 1);
    const second = await api('GET', `/api/projects?limit=1&cursor=${encodeURIComponent(first.json.next_cursor)}`, { as: 'anna' });
    assert.equal(second.json.items.length, 1);
    assert.notEqual(second.json.items[0].project_id, first.json.items[0].project_id);
    for (const bad of ['limit=0', 'limit=x', 'limit=-1', 'limit=1.5']) problem(await api('GET', `/api/projects?${bad}`, { as: 'anna' }), 422);
  });

  it('made, changed (told to those in it), deleted (they are put out)', async () => {
    const made = await api('POST', '/api/projects', { as: 'anna', body: { name: 'Harbour Sheds' } });
    assert.equal(made.status, 201, made.body);
    const id = made.json.project_id;
    assert.equal(made.json.name, 'Harbour Sheds');
    const anna = await pool.user(server, 'anna', { project: id });
    const patched = await api('PATCH', `/api/projects/${id}`, { as: 'anna', body: { name: 'Harbour Sheds II' } });
    assert.equal(patched.status, 200, patched.body);
    const told = await anna.event('project:updated');
    assert.equal(told.project_id, id);
    assert.equal(told.updated_by, 'anna');
    assert.equal(told.updates.name, 'Harbour Sheds II');
    const gone = await api('DELETE', `/api/projects/${id}`, { as: 'anna' });
    assert.equal(gone.status, 204, gone.body);
    assert.deepEqual(await anna.event('access:revoked'), { project_id: id });
    problem(await api('GET', `/api/projects/${id}`, { as: 'anna' }), 404);
  });

  it('an unknown field is refused by its name', async () => {
    const res = await api('POST', '/api/projects', { as: 'anna', body: { name: 'x', colour: 'red' } });
    problem(res, 422, 'invalid');
    assert.match(res.json.detail, /colour/);
  });
});

describe('collaborators', () => {
  it('added, changed, removed: told, and removed means out of the room', async () => {
    const anna = await member('anna');
    const put = await api('PUT', '/api/projects/proj-123/collaborators/dora', { as: 'anna', body: { role: 'viewer' } });
    assert.ok([200, 201].includes(put.status), put.body);
    let told = await anna.event('collaborator:changed');
    assert.equal(told.project_id, 'proj-123');
    assert.equal(told.user_id, 'dora');
    assert.equal(told.role, 'viewer');
    const dora = await member('dora');
    await anna.event('user:joined');
    const begun = Date.now();
    assert.equal((await api('DELETE', '/api/projects/proj-123/collaborators/dora', { as: 'anna' })).status, 204);
    assert.deepEqual(await dora.event('access:revoked'), { project_id: 'proj-123' });
    assert.ok(Date.now() - begun < 1000, 'within one second');
    assert.equal((await anna.event('user:left')).user_id, 'dora');
    told = await anna.event('collaborator:changed');
    assert.equal(told.user_id, 'dora');
    assert.equal(told.role, null);
    await server.broadcast('boq-update', { project_id: 'proj-123', item_id: 'i', updates: { qty: 1 }, user_id: 'anna' });
    await anna.event('boq:item:updated');
    assert.equal((await dora.ask('join_project', { project_id: 'proj-123' })).error.code, 'access_denied');
    assert.deepEqual(dora.all('boq:item:updated'), []);
    assert.equal(dora.socket.connected, true);
  });

  it('removed by the CLI: out of the room within one second', async () => {
    await server.cli(['project', 'share', 'proj-123', 'dora', 'editor']);
    const dora = await member('dora');
    await server.cli(['project', 'unshare', 'proj-123', 'dora']);
    const begun = Date.now();
    await dora.event('access:revoked');
    assert.ok(Date.now() - begun < 1000, `${Date.now() - begun} ms`);
    problem(await api('GET', '/api/projects/proj-123', { as: 'dora' }), 404);
  });

  it('shared by the CLI: may join at once', async () => {
    const dora = await pool.user(server, 'dora');
    assert.equal((await dora.ask('join_project', { project_id: 'proj-123' })).ok, false);
    await server.cli(['project', 'share', 'proj-123', 'dora', 'viewer']);
    assert.equal((await dora.ask('join_project', { project_id: 'proj-123' })).ok, true);
    await server.cli(['project', 'unshare', 'proj-123', 'dora']);
    await dora.event('access:revoked');
  });

  it('a role that does not exist, a user who does not, the last owner', async () => {
    problem(await api('PUT', '/api/projects/proj-123/collaborators/ben', { as: 'anna', body: { role: 'king' } }), 422);
    const unknown = await api('PUT', '/api/projects/proj-123/collaborators/nobody', { as: 'anna', body: { role: 'viewer' } });
    assert.ok(unknown.status >= 400 && unknown.status < 500, unknown.body);
    const last = await api('DELETE', '/api/projects/proj-123/collaborators/anna', { as: 'anna' });
    assert.ok([409, 422].includes(last.status), last.body);
    problem(last, last.status);
  });
});

describe('BoQ items', () => {
  it('made: 201, exact decimals, told to the others', async () => {
    const ben = await member('ben');
    const item = await newItem();
    for (const key of ['item_id', 'code', 'description', 'unit', 'qty', 'unit_price', 'total', 'section', 'version', 'updated_at', 'updated_by']) assert.ok(key in item, key);
    assert.equal(Number(item.total), 27086.4);
    assert.equal(item.updated_by, 'anna');
    const told = await ben.event('boq:item:created');
    assert.equal(told.project_id, 'proj-123');
    assert.equal(told.item_id ?? told.item?.item_id, item.item_id);
  });

  it('money is exact to the last digit', async () => {
    for (const [qty, price, total] of [
      ['0.1', '0.2', '0.02'],
      ['3', '0.1', '0.3'],
      ['123456789.12', '1', '123456789.12'],
    ]) {
      const item = await newItem({ qty, unit_price: price });
      const res = await api('GET', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'cleo' });
      const text = res.body.match(/"total":\s*"?([0-9.]+)"?/)[1];
      assert.equal(text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''), total, res.body);
    }
  });

  it('read one and all, paged, in order', async () => {
    const item = await newItem({ code: 'Z.9' });
    const one = await api('GET', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'cleo' });
    assert.equal(one.json.code, 'Z.9');
    const seen = [];
    let cursor = null;
    do {
      const page = await api('GET', `/api/projects/proj-123/boq?limit=2${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { as: 'cleo' });
      assert.equal(page.status, 200, page.body);
      assert.ok(page.json.items.length <= 2);
      seen.push(...page.json.items.map((i) => i.item_id));
      cursor = page.json.next_cursor;
    } while (cursor && seen.length < 500);
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.includes(item.item_id));
    problem(await api('GET', '/api/projects/proj-123/boq/none', { as: 'cleo' }), 404);
  });

  it('changed: version and total move, both clients see it', async () => {
    const item = await newItem();
    const [anna, ben] = [await member('anna'), await member('ben', { transports: ['polling'] })];
    const res = await api('PATCH', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'ben', body: { qty: '200', version: item.version } });
    assert.equal(res.status, 200, res.body);
    assert.equal(res.json.version, item.version + 1);
    assert.equal(Number(res.json.total), 36480);
    for (const c of [anna, ben]) {
      const told = await c.event('boq:item:updated', (d) => d.item_id === item.item_id);
      assert.equal(Number(told.updates.qty), 200);
      assert.equal(told.updated_by, 'ben');
    }
  });

  it('an outdated version: 409 with the current item', async () => {
    const item = await newItem();
    const path = `/api/projects/proj-123/boq/${item.item_id}`;
    await api('PATCH', path, { as: 'ben', body: { qty: '1' } });
    const anna = await member('anna');
    for (const res of [
      await api('PATCH', path, { as: 'anna', body: { qty: '2', version: item.version } }),
      await api('PATCH', path, { as: 'anna', body: { qty: '2' }, headers: { 'if-match': `"${item.version}"` } }),
      await api('DELETE', path, { as: 'anna', headers: { 'if-match': `"${item.version}"` } }),
    ]) {
      problem(res, 409);
      const current = Object.values(res.json).find((v) => v && typeof v === 'object') ?? res.json;
      assert.equal(current.version, item.version + 1);
      assert.equal(Number(current.qty), 1);
    }
    await anna.settle();
    assert.deepEqual(anna.all('boq:item:updated'), [], 'nothing was told');
  });

  it('If-Match with the current version passes; the ETag is the next one', async () => {
    const item = await newItem();
    const res = await api('PATCH', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'anna', body: { qty: 7 }, headers: { 'if-match': `"${item.version}"` } });
    assert.equal(res.status, 200, res.body);
    assert.equal(res.headers.etag, `"${item.version + 1}"`);
  });

  it('deleted: 204, told', async () => {
    const item = await newItem();
    const ben = await member('ben');
    assert.equal((await api('DELETE', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'anna' })).status, 204);
    const told = await ben.event('boq:item:deleted');
    assert.equal(told.item_id, item.item_id);
    problem(await api('GET', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'anna' }), 404);
  });

  it('bulk: one event, the skipped ones are named', async () => {
    const [a, b] = [await newItem(), await newItem()];
    const anna = await member('anna');
    const res = await api('POST', '/api/projects/proj-123/boq/bulk', {
      as: 'ben',
      body: { updates: [{ item_id: a.item_id, qty: 5 }, { item_id: b.item_id, qty: 6, version: 99 }, { item_id: 'none', qty: 1 }] },
    });
    assert.equal(res.status, 200, res.body);
    assert.deepEqual([res.json.total, res.json.updated, res.json.skipped], [3, 1, 2]);
    const told = await anna.event('boq:bulk:updated');
    assert.equal(told.updated_by, 'ben');
    assert.deepEqual([told.summary.total, told.summary.updated, told.summary.skipped], [3, 1, 2]);
    assert.deepEqual(told.item_ids, [a.item_id]);
    await anna.settle();
    assert.deepEqual(anna.all('boq:bulk:updated'), []);
    assert.deepEqual(anna.all('boq:item:updated'), []);
    assert.match(res.body, new RegExp(`${b.item_id}|none`));
  });

  for (const [what, body] of [
    ['a word for a number', { qty: 'many' }],
    ['NaN', '{"qty":NaN}'],
    ['an exponent bomb', '{"qty":1e400}'],
    ['a list', []],
    ['an unknown field', { colour: 'red' }],
    ['a field one may not write', { updated_by: 'ben' }],
    ['a member twice', '{"qty":1,"qty":2}'],
    ['broken JSON', '{"qty":'],
    ['NUL in a text', { description: 'a\u0000b' }],
  ])
    it(`refused: ${what}`, async () => {
      const item = await newItem();
      const res = await request(server.port, 'PATCH', `/api/projects/proj-123/boq/${item.item_id}`, {
        headers: { authorization: `Bearer ${server.token('anna')}`, 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      assert.ok([400, 422].includes(res.status), res.body);
      problem(res, res.status);
      assert.equal((await api('GET', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'anna' })).json.version, item.version);
    });

  it('many changes at once: each is told, in the order of their versions', async () => {
    const item = await newItem();
    const anna = await member('anna');
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => api('PATCH', `/api/projects/proj-123/boq/${item.item_id}`, { as: 'ben', body: { qty: i + 1 } })),
    );
    assert.ok(answers.every((r) => r.status === 200), answers.find((r) => r.status !== 200)?.body);
    const last = answers.map((r) => r.json).sort((x, y) => x.version - y.version);
    assert.deepEqual(last.map((i) => i.version), Array.from({ length: 60 }, (_, i) => item.version + 1 + i));
    const told = [];
    for (let i = 0; i < 60; i++) told.push(Number((await anna.event('boq:item:updated')).updates.qty));
    assert.deepEqual(told, last.map((i) => Number(i.qty)));
  });
});

describe('back-end broadcasts', () => {
  const boq = { project_id: 'proj-123', item_id: 'item-789', updates: { qty: 150, unit_price: 45.5 }, user_id: 'user-456' };

  for (const [what, body, event, expected, bare = (data) => data] of [
    ['boq-update', boq, 'boq:item:updated', { project_id: 'proj-123', item_id: 'item-789', updates: { qty: 150, unit_price: 45.5 }, updated_by: 'user-456' }, unnumbered],
    [
      'boq-bulk-update',
      { project_id: 'proj-123', summary: { total: 50, updated: 48, skipped: 2 }, user_id: 'user-456' },
      'boq:bulk:updated',
      { project_id: 'proj-123', summary: { total: 50, updated: 48, skipped: 2 }, updated_by: 'user-456' },
      unnumbered,
    ],
    [
      'task-update',
      { project_id: 'proj-123', task_id: 42, updates: { status: 'done' }, user_id: 'user-456' },
      'task:updated',
      { project_id: 'proj-123', task_id: 42, updates: { status: 'done' }, updated_by: 'user-456' },
      unnumbered,
    ],
    [
      'comment',
      { project_id: 'proj-123', comment_id: 15, comment_data: { text: 'Great work!', author_id: 'user-456' } },
      'comment:created',
      { project_id: 'proj-123', comment_id: 15, comment: { text: 'Great work!', author_id: 'user-456' } },
      unnumbered,
    ],
    ['notify', { user_id: 'anna', notification_data: { message: 'You were assigned a task' } }, 'notification:new', { message: 'You were assigned a task' }, unmarked],
    ['emit', { room: 'project:proj-123', event: 'site:weather', data: { wind: 12.5 } }, 'site:weather', { wind: 12.5 }, unnumbered],
    ['emit', { room: 'project:proj-123', event: 'site:weather', data: { seq: 'theirs' } }, 'site:weather', { seq: 'theirs' }],
    ['emit', { room: 'user:anna', event: 'site:weather', data: { wind: 1 } }, 'site:weather', { wind: 1 }],
    ['emit', { room: 'user:anna', event: 'site:weather', data: [1, 'two', null] }, 'site:weather', [1, 'two', null]],
    ['emit', { room: 'project:proj-123', event: 'site:weather', data: { wind: 3 }, volatile: true }, 'site:weather', { wind: 3 }],
  ])
    it(`${what} becomes ${event}`, async () => {
      const anna = await member('anna');
      const res = await server.broadcast(what, body);
      assert.equal(res.status, 202, res.body);
      assert.ok(res.json.id !== undefined);
      assert.equal(res.json.recipients, 1);
      assert.deepEqual(bare(await anna.event(event)), expected);
    });

  it('emit: except_sid, volatile', async () => {
    const [anna, ben] = [await member('anna'), await member('ben')];
    const body = { room: 'project:proj-123', event: 'ping:all', data: 1 };
    assert.equal((await server.broadcast('emit', { ...body, except_sid: ben.socket.id })).status, 202);
    assert.equal(await anna.event('ping:all'), 1);
    await ben.settle();
    assert.deepEqual(ben.all('ping:all'), []);
    assert.equal((await server.broadcast('emit', { ...body, data: 2, volatile: true })).status, 202);
    assert.equal(await ben.event('ping:all'), 2);
  });

  it('an Idempotency-Key makes a repeat harmless', async () => {
    const anna = await member('anna');
    const headers = { 'idempotency-key': randomUUID() };
    const [first, again] = [await server.broadcast('boq-update', boq, headers), await server.broadcast('boq-update', boq, headers)];
    assert.equal(first.status, 202);
    assert.equal(again.status, 202);
    assert.equal(again.json.id, first.json.id);
    await anna.event('boq:item:updated');
    await anna.settle();
    assert.deepEqual(anna.all('boq:item:updated'), []);
    const other = await server.broadcast('boq-update', { ...boq, item_id: 'another' }, headers);
    assert.ok([409, 422].includes(other.status), other.body);
  });

  for (const [name, key, status] of [
    ['no key', undefined, 401],
    ['a wrong key', 'wrong', 401],
  ])
    it(`${name}: ${status}`, async () => {
      const res = await api('POST', '/api/broadcast/boq-update', { key, body: boq });
      assert.ok([401, 403].includes(res.status));
      problem(res, res.status);
    });

  it('a user’s token is no service key', async () => {
    const res = await api('POST', '/api/broadcast/boq-update', { as: 'anna', body: boq });
    assert.ok([401, 403].includes(res.status));
  });

  it('without SERVICE_API_KEY: 403', async () => {
    const bare = await startServer({ fill: 'none', env: { SERVICE_API_KEY: undefined } });
    try {
      for (const key of [undefined, '', 'x']) problem(await bare.api('POST', '/api/broadcast/boq-update', { key, body: boq }), 403);
    } finally {
      await bare.stop();
    }
  });

  for (const [what, body] of [
    ['boq-update', {}],
    ['boq-update', { ...boq, project_id: 7 }],
    ['boq-update', { ...boq, updates: 'x' }],
    ['boq-update', { ...boq, surprise: 1 }],
    ['boq-bulk-update', { project_id: 'proj-123' }],
    ['task-update', { project_id: 'proj-123', task_id: {}, updates: {}, user_id: 'x' }],
    ['comment', { project_id: 'proj-123', comment_id: 1 }],
    ['notify', { notification_data: {} }],
    ['emit', { room: '', event: 'x', data: 1 }],
    ['emit', { room: 'project:proj-123', event: '', data: 1 }],
    ['emit', { room: 'project:proj-123', event: 'connect', data: 1 }],
    ['emit', { room: 'project:proj-123', event: 'disconnect', data: 1 }],
    ['emit', { room: 'x'.repeat(5000), event: 'x', data: 1 }],
    ['emit', { room: 'project:proj-123', event: 'x', data: 1, volatile: 'yes' }],
  ])
    it(`refused: ${what} ${JSON.stringify(body).slice(0, 80)}`, async () => {
      const res = await server.broadcast(what, body);
      assert.ok([400, 422].includes(res.status), res.body);
      problem(res, res.status);
    });
});

describe('presence and connections for back ends', () => {
  it('GET /api/projects/{id}/presence', async () => {
    await member('anna');
    await member('ben');
    const res = await api('GET', '/api/projects/proj-123/presence', { key: true });
    assert.equal(res.status, 200, res.body);
    assert.deepEqual(res.json.users.map((u) => u.user_id).sort(), ['anna', 'ben']);
  });

  it('GET /api/users/{id}/connections, POST …/disconnect', async () => {
    const anna = await member('anna');
    const res = await api('GET', '/api/users/anna/connections', { key: true });
    assert.equal(res.status, 200, res.body);
    assert.match(res.body, new RegExp(anna.socket.id));
    const out = await api('POST', '/api/users/anna/disconnect', { key: true });
    assert.ok(out.status >= 200 && out.status < 300, out.body);
    assert.equal(await anna.event('disconnect'), 'io server disconnect');
    await until(async () => (await server.status()).active_connections === 0, 'nobody is connected');
  });
});

describe('health', () => {
  it('GET /healthz and /readyz name their parts', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const res = await request(server.port, 'GET', path);
      assert.equal(res.status, 200);
      assert.match(res.body, /store/);
    }
  });

  it('unknown paths 404, other methods 405 with Allow, HEAD without a body', async () => {
    const none = await request(server.port, 'GET', '/nothing/here');
    assert.equal(none.status, 404);
    assert.match(none.headers['content-type'], /json/);
    const method = await request(server.port, 'DELETE', '/ws/status');
    assert.equal(method.status, 405);
    assert.match(method.headers.allow, /GET/);
    assert.match(method.headers['content-type'], /json/);
    const head = await request(server.port, 'HEAD', '/ws/status');
    assert.equal(head.status, 200);
    assert.equal(head.body, '');
    assert.ok(head.headers.date, 'a Date');
  });
});

describe('what the clients do among themselves', () => {
  it('cursor:move reaches the others, with the server’s user_id', async () => {
    const [anna, ben] = [await member('anna'), await member('ben')];
    ben.emit('cursor:move', { project_id: 'proj-123', cursor: { x: 4, y: [9.5, null] }, user_id: 'anna' });
    assert.deepEqual(await anna.event('cursor:moved'), { project_id: 'proj-123', user_id: 'ben', cursor: { x: 4, y: [9.5, null] } });
    await ben.settle();
    assert.deepEqual(ben.all('cursor:moved'), []);
  });

  it('typing starts, stops, and stops by itself', async () => {
    const [anna, ben] = [await member('anna'), await member('ben')];
    ben.emit('typing:start', { project_id: 'proj-123', target: 'item-1' });
    assert.deepEqual(await anna.event('typing:started'), { project_id: 'proj-123', user_id: 'ben', target: 'item-1' });
    ben.emit('typing:stop', { project_id: 'proj-123', target: 'item-1' });
    assert.deepEqual(await anna.event('typing:stopped'), { project_id: 'proj-123', user_id: 'ben', target: 'item-1' });
    ben.emit('typing:start', { project_id: 'proj-123', target: 'item-2' });
    await anna.event('typing:started');
    const begun = Date.now();
    assert.equal((await anna.event('typing:stopped', undefined, { timeout: 12000 })).target, 'item-2');
    assert.ok(Date.now() - begun > 4000, 'after some 5 s');
    ben.emit('typing:start', { project_id: 'proj-123', target: 'item-3' });
    await anna.event('typing:started');
    ben.close();
    assert.equal((await anna.event('typing:stopped')).target, 'item-3');
  });

  it('presence:update is told, kept, and part of presence:state and joined_project', async () => {
    const [anna, ben] = [await member('anna'), await member('ben')];
    assert.equal((await ben.ask('presence:update', { project_id: 'proj-123', state: { selection: 'item-1' } })).ok, true);
    assert.deepEqual(await anna.event('presence:updated'), { project_id: 'proj-123', user_id: 'ben', state: { selection: 'item-1' } });
    anna.emit('presence:list', { project_id: 'proj-123' });
    const state = await anna.event('presence:state');
    const row = state.users.find((u) => u.user_id === 'ben');
    assert.equal(row.name, 'Ben');
    assert.equal(row.connections, 1);
    assert.ok(!Number.isNaN(Date.parse(row.joined_at)));
    assert.deepEqual(row.state, { selection: 'item-1' });
    const cleo = await member('cleo');
    assert.deepEqual(cleo.joined.users.find((u) => u.user_id === 'ben').state, { selection: 'item-1' });
  });

  for (const [event, payload] of [
    ['cursor:move', { project_id: 'proj-456', cursor: 1 }],
    ['typing:start', { project_id: 'proj-456', target: 'x' }],
    ['presence:update', { project_id: 'proj-456', state: 1 }],
    ['cursor:move', { project_id: 'proj-123', cursor: 'x'.repeat(1100) }],
    ['presence:update', { project_id: 'proj-123', state: 'x'.repeat(1100) }],
    ['cursor:move', { project_id: 'proj-123' }],
    ['join_project', {}],
    ['join_project', null],
    ['no:such:event', {}],
  ])
    it(`refused: ${event} ${JSON.stringify(payload).slice(0, 60)}`, async () => {
      const [eve, anna] = [await member('eve'), await member('anna')];
      const answer = await eve.ask(event, payload);
      assert.equal(answer.ok, false);
      assert.equal(typeof answer.error.code, 'string');
      assert.equal(typeof answer.error.message, 'string');
      await anna.settle();
      for (const name of ['cursor:moved', 'typing:started', 'presence:updated']) assert.deepEqual(anna.all(name), []);
    });

  it('auth:refresh extends the connection; another user’s token does not', async () => {
    const anna = await member('anna', { auth: { token: server.token('anna', { ttl: 65 }) } });
    const expiring = await anna.event('token:expiring', undefined, { timeout: 12000 });
    assert.ok(expiring.expires_in <= 61 && expiring.expires_in > 50, JSON.stringify(expiring));
    assert.equal((await anna.ask('auth:refresh', { token: server.token('ben') })).ok, false);
    assert.equal((await anna.ask('auth:refresh', { token: 'abc' })).ok, false);
    assert.equal((await anna.ask('auth:refresh', { token: server.token('anna') })).ok, true);
    await anna.settle();
    assert.equal(anna.socket.connected, true);
  });

  it('at the token’s end: error token_expired, and the transport is closed', async () => {
    const own = await startServer({ env: { JWT_LEEWAY: '0' } });
    try {
      const c = pool.open(own.url, { auth: { token: own.token('anna', { ttl: 3 }) }, transports: ['websocket'] });
      await c.connected();
      assert.equal((await c.event('error')).code, 'token_expired');
      assert.match(await c.event('disconnect'), /^transport (close|error)$/);
      const later = pool.open(own.url, { auth: { token: own.token('anna', { ttl: -1 }) }, transports: ['websocket'] });
      assert.deepEqual((await later.event('connect_error')).data, { code: 'token_expired' });
    } finally {
      pool.close();
      await own.stop();
    }
  });
});

describe('times in the metrics', () => {
  // A histogram: its counts by bound, ascending, and its sum.
  async function times(name) {
    const { body } = await request(server.port, 'GET', '/metrics');
    const buckets = [...body.matchAll(new RegExp(`^skybuild_${name}_bucket\\{le="([^"]+)"\\} (\\d+)$`, 'gm'))].map(([, le, n]) => [le === '+Inf' ? Infinity : Number(le), Number(n)]);
    const of = (what) => Number(new RegExp(`^skybuild_${name}_${what} (\\S+)$`, 'm').exec(body)[1]);
    assert.match(body, new RegExp(`^# TYPE skybuild_${name} histogram$`, 'm'));
    return { buckets, sum: of('sum'), count: of('count'), broadcasts: Number(/^skybuild_broadcasts_total (\d+)$/m.exec(body)[1]) };
  }

  it('each broadcast is timed once, of a client’s event and of a REST write; so is each turn of the loop', async () => {
    const [anna, ben] = [await member('anna'), await member('ben')];
    await anna.settle();
    const [before, turns] = [await times('broadcast_seconds'), await times('loop_lag_seconds')];
    assert.equal(before.count, before.broadcasts);
    for (let x = 0; x < 20; x++) anna.emit('cursor:move', { project_id: 'proj-123', cursor: { x } });
    await ben.event('cursor:moved', (d) => d.cursor.x === 19);
    await newItem();
    await ben.event('boq:item:created');
    const [now, turnsNow] = [await times('broadcast_seconds'), await times('loop_lag_seconds')];
    assert.ok(now.broadcasts - before.broadcasts >= 21);
    assert.equal(now.count, now.broadcasts, 'none is left out, none counted twice');
    assert.ok(now.sum > before.sum && now.sum < 60, `${now.sum} s`);
    assert.ok(turnsNow.count > turns.count && turnsNow.sum > turns.sum);
    for (const { buckets, count } of [now, turnsNow]) {
      assert.deepEqual(buckets, [...buckets].sort(([a, n], [b, m]) => a - b || n - m), 'each bound counts those below it, too');
      assert.deepEqual(buckets.at(-1), [Infinity, count]);
    }
  });
});

// Tasks, comments, notifications and the event history over REST, with connected
// clients that see what each change tells.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { ROOT, Server, startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { unnumbered } from './lib/payload.mjs';
import { until } from './lib/queue.mjs';

const P = '/api/projects/proj-123';
let server;
const pool = clientPool();
const api = (...args) => server.api(...args);
const member = (name, more) => pool.user(server, name, { project: 'proj-123', ...more });

function problem(res, status, code, field) {
  assert.equal(res.status, status, res.body);
  assert.match(res.headers['content-type'], /^application\/problem\+json/);
  assert.equal(res.json.status, status);
  if (code) assert.equal(res.json.code, code, res.body);
  if (field) assert.equal(res.json.field, field, res.body);
}

async function made(what, body, as = 'anna') {
  const res = await api('POST', `${P}/${what}`, { as, body });
  assert.equal(res.status, 201, res.body);
  return res.json;
}
const newTask = (body = {}, as) => made('tasks', { title: 'Order lifts', ...body }, as);
const newComment = (body = {}, as) => made('comments', { text: 'Looks right', ...body }, as);

// The body as it stands, valid JSON or not.
const raw = (method, target, body, as = 'anna', headers = {}) =>
  request(server.port, method, target, { headers: { authorization: `Bearer ${server.token(as)}`, 'content-type': 'application/json', ...headers }, body });

let theirs; // in proj-456: {item, task, comment}

before(async () => {
  server = await startServer();
  const at = (what, body) => api('POST', `/api/projects/proj-456/${what}`, { as: 'ben', body });
  theirs = {
    item: (await at('boq', { code: '1' })).json.item_id,
    task: (await at('tasks', { title: 'Theirs' })).json.task_id,
    comment: (await at('comments', { text: 'Theirs' })).json.comment_id,
  };
});
afterEach(() => pool.close());
after(() => server?.stop());

describe('who may', () => {
  // role by user: anna owner, ben editor, eve commenter, cleo viewer; dora is no member.
  const all = 'anna ben eve cleo';
  for (const [method, target, body, allowed] of [
    ['GET', 'tasks', undefined, all],
    ['POST', 'tasks', { title: 'x' }, 'anna ben'],
    ['GET', 'tasks/TASK', undefined, all],
    ['PATCH', 'tasks/TASK', { status: 'done' }, 'anna ben'],
    ['DELETE', 'tasks/TASK', undefined, 'anna ben'],
    ['GET', 'comments', undefined, all],
    ['POST', 'comments', { text: 'x' }, 'anna ben eve'],
    ['GET', 'comments/COMMENT', undefined, all],
    ['DELETE', 'comments/COMMENT', undefined, 'anna ben'], // of another
    ['GET', 'events', undefined, all],
  ])
    it(`${method} ${target}: ${allowed}`, async () => {
      for (const user of ['anna', 'ben', 'eve', 'cleo', 'dora']) {
        const task = target.includes('TASK') ? (await newTask()).task_id : 0;
        const comment = target.includes('COMMENT') ? (await newComment({}, 'anna')).comment_id : 0;
        const where = `${P}/${target.replace('TASK', task).replace('COMMENT', comment)}`;
        const res = await api(method, where, { as: user, body });
        if (user === 'dora') problem(res, 404, 'not_found');
        else if (allowed.split(' ').includes(user)) assert.ok(res.status < 300, `${user}: ${res.status} ${res.body}`);
        else problem(res, 403, 'forbidden');
        problem(await api(method, where, { body }), 401, 'token_missing');
      }
    });

  it('one’s own comment may be deleted by its author, as long as one may comment', async () => {
    const own = await newComment({}, 'eve');
    problem(await api('DELETE', `${P}/comments/${own.comment_id}`, { as: 'cleo' }), 403, 'forbidden');
    assert.equal((await api('DELETE', `${P}/comments/${own.comment_id}`, { as: 'eve' })).status, 204);
    const another = await newComment({}, 'eve');
    await api('PUT', `${P}/collaborators/eve`, { as: 'anna', body: { role: 'viewer' } });
    problem(await api('DELETE', `${P}/comments/${another.comment_id}`, { as: 'eve' }), 403, 'forbidden');
    await api('PUT', `${P}/collaborators/eve`, { as: 'anna', body: { role: 'commenter' } });
    assert.equal((await api('DELETE', `${P}/comments/${another.comment_id}`, { as: 'ben' })).status, 204);
  });

  it('notifications are one’s own', async () => {
    for (const [method, target] of [['GET', ''], ['POST', '/1/read'], ['POST', '/read-all']])
      problem(await api(method, `/api/notifications${target}`), 401, 'token_missing');
    await newTask({ assignee_id: 'ben' });
    const { json } = await api('GET', '/api/notifications', { as: 'ben' });
    problem(await api('POST', `/api/notifications/${json.items[0].id}/read`, { as: 'anna' }), 404, 'not_found');
    assert.equal((await api('GET', '/api/notifications?unread=true', { as: 'ben' })).json.items[0].id, json.items[0].id);
  });

  for (const target of ['tasks', 'comments'])
    it(`${target} of another project are not found by their number`, async () => {
      const id = target === 'tasks' ? theirs.task : theirs.comment;
      problem(await api('GET', `${P}/${target}/${id}`, { as: 'anna' }), 404, 'not_found');
      problem(await api('DELETE', `${P}/${target}/${id}`, { as: 'anna' }), 404, 'not_found');
      if (target === 'tasks') problem(await api('PATCH', `${P}/tasks/${id}`, { as: 'anna', body: { title: 'x' } }), 404, 'not_found');
      assert.equal((await api('GET', `/api/projects/proj-456/${target}/${id}`, { as: 'ben' })).status, 200);
    });
});

describe('tasks', () => {
  it('made: 201, Location, ETag, told', async () => {
    const ben = await member('ben');
    const res = await api('POST', `${P}/tasks`, { as: 'anna', body: { title: 'Order lifts', due_date: '2026-12-24' } });
    assert.equal(res.status, 201, res.body);
    assert.equal(res.headers.location, `${P}/tasks/${res.json.task_id}`);
    assert.equal(res.headers.etag, '"1"');
    for (const key of ['task_id', 'title', 'description', 'status', 'assignee_id', 'due_date', 'position', 'item_id', 'version', 'created_at', 'updated_at', 'updated_by'])
      assert.ok(key in res.json, key);
    assert.ok(Number.isInteger(res.json.task_id));
    const told = await ben.event('task:created');
    assert.deepEqual(unnumbered(told), { project_id: 'proj-123', task_id: res.json.task_id, task: res.json, updated_by: 'anna' });
    const got = await api('GET', res.headers.location, { as: 'cleo' });
    assert.deepEqual(got.json, res.json);
    assert.equal(got.headers.etag, '"1"');
  });

  it('changed: the guide’s payload, over both transports', async () => {
    const task = await newTask();
    const [anna, cleo] = [await member('anna'), await member('cleo', { transports: ['polling'] })];
    const res = await api('PATCH', `${P}/tasks/${task.task_id}`, { as: 'ben', body: { status: 'done', assignee_id: 'eve', version: 1 } });
    assert.equal(res.status, 200, res.body);
    assert.equal(res.json.version, 2);
    assert.equal(res.headers.etag, '"2"');
    for (const c of [anna, cleo])
      assert.deepEqual(unnumbered(await c.event('task:updated')), {
        project_id: 'proj-123', task_id: task.task_id, updates: { status: 'done', assignee_id: 'eve' }, version: 2, updated_by: 'ben',
      });
  });

  it('an outdated version: 409 with the current task, on PATCH and DELETE, by header and by body', async () => {
    const task = await newTask();
    const where = `${P}/tasks/${task.task_id}`;
    await api('PATCH', where, { as: 'ben', body: { status: 'blocked' } });
    const ben = await member('ben');
    for (const res of [
      await api('PATCH', where, { as: 'anna', body: { title: 'x', version: 1 } }),
      await api('PATCH', where, { as: 'anna', body: { title: 'x' }, headers: { 'if-match': '"1"' } }),
      await api('PATCH', where, { as: 'anna', body: { title: 'x', version: 1 }, headers: { 'if-match': '"2"' } }),
      await api('PATCH', where, { as: 'anna', body: { title: 'x', version: 2 }, headers: { 'if-match': '"1"' } }),
      await api('PATCH', where, { as: 'anna', body: { title: 'x', version: 0 } }),
      await api('DELETE', where, { as: 'anna', headers: { 'if-match': '"1"' } }),
    ]) {
      problem(res, 409, 'conflict');
      assert.equal(res.json.current.version, 2);
      assert.equal(res.json.current.status, 'blocked');
    }
    assert.equal((await api('DELETE', where, { as: 'anna', headers: { 'if-match': '"2"' } })).status, 204);
    const told = await ben.event('task:deleted');
    assert.deepEqual(unnumbered(told), { project_id: 'proj-123', task_id: task.task_id, updated_by: 'anna' });
    assert.deepEqual(ben.all('task:updated'), []);
    problem(await api('GET', where, { as: 'anna' }), 404, 'not_found');
  });

  it('a new one goes to the end of its board; a place between two is theirs to give', async () => {
    const [a, b] = [await newTask(), await newTask()];
    assert.ok(b.position > a.position);
    const between = Math.floor((a.position + b.position) / 2);
    const c = await newTask({ position: between });
    assert.ok(a.position < c.position && c.position < b.position);
    const moved = await api('PATCH', `${P}/tasks/${b.task_id}`, { as: 'ben', body: { status: 'in_progress', position: 0 } });
    assert.equal(moved.json.position, 0);
  });

  it('may be about an item', async () => {
    const item = await made('boq', { code: '03.2' });
    const task = await newTask({ item_id: item.item_id });
    assert.equal(task.item_id, item.item_id);
    await api('DELETE', `${P}/boq/${item.item_id}`, { as: 'anna' });
    assert.equal((await api('GET', `${P}/tasks/${task.task_id}`, { as: 'anna' })).json.item_id, item.item_id, 'the link outlives the item');
  });

  for (const [what, body, field] of [
    ['no title', {}, 'title'],
    ['an empty title', { title: '' }, 'title'],
    ['a title of two lines', { title: 'a\nb' }, 'title'],
    ['a number for a title', { title: 5 }, 'title'],
    ['a title too long', { title: 'x'.repeat(301) }, 'title'],
    ['a description too long', { title: 'x', description: 'ä'.repeat(2001) }, 'description'],
    ['a status of its own', { title: 'x', status: 'doing' }, 'status'],
    ['a status of another type', { title: 'x', status: ['done'] }, 'status'],
    ['an assignee who is no member', { title: 'x', assignee_id: 'dora' }, 'assignee_id'],
    ['an assignee who is nobody', { title: 'x', assignee_id: 'nobody' }, 'assignee_id'],
    ['an assignee of another type', { title: 'x', assignee_id: {} }, 'assignee_id'],
    ['a day that is none', { title: 'x', due_date: '2026-02-30' }, 'due_date'],
    ['a time for a day', { title: 'x', due_date: '2026-02-28T10:00:00Z' }, 'due_date'],
    ['a position below zero', { title: 'x', position: -1 }, 'position'],
    ['a position too precise', { title: 'x', position: 0.5 }, 'position'],
    ['a position too large', '{"title":"x","position":9007199254740993}', 'position'],
    ['an item that is not there', { title: 'x', item_id: 'none' }, 'item_id'],
    ['another project’s item', () => ({ title: 'x', item_id: theirs.item }), 'item_id'],
    ['a version of another type', { title: 'x', version: '1' }, 'version'],
    ['an unknown field', { title: 'x', colour: 'red' }, 'colour'],
    ['a member twice', '{"title":"x","title":"y"}'],
    ['the same member spelt twice', '{"title":"x","\\u0074itle":"y"}'],
    ['half a JSON', '{"title":'],
    ['a list', '[]'],
    ['NUL', '{"title":"a\\u0000"}'],
    ['half a character', '{"title":"\\ud83d"}'],
    ['no UTF-8', Buffer.from('7b227469746c65223a22ff227d', 'hex')],
    ['nothing', ''],
    ['nesting', `{"title":${'['.repeat(5000)}${']'.repeat(5000)}}`],
  ])
    it(`refused: ${what}`, async () => {
      const before = (await api('GET', `${P}/events?after=9007199254740991`, { as: 'anna' })).json.last_seq;
      const value = typeof body === 'function' ? body() : body;
      const text = typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value);
      const res = await raw('POST', `${P}/tasks`, text);
      assert.ok([400, 422].includes(res.status), res.body);
      problem(res, field ? 422 : res.status, undefined, field);
      assert.equal((await api('GET', `${P}/events?after=9007199254740991`, { as: 'anna' })).json.last_seq, before, 'nothing happened');
    });

  it('an unknown field: what could have been meant is said', async () => {
    const comment = await api('POST', `${P}/comments`, { as: 'anna', body: { txt: 'x' } });
    problem(comment, 422, undefined, 'txt');
    assert.equal(comment.json.detail, "'txt' is not a field of a comment; it has text, item_id, task_id");
    const item = await api('POST', `${P}/boq`, { as: 'anna', body: { quantity: 1 } });
    assert.equal(item.json.detail, "'quantity' is not a field of a BoQ item; it has code, description, unit, qty, unit_price, section, item_id, version");
    const role = await api('POST', '/api/auth/login', { body: { user: 'anna', password: 'x' } });
    assert.match(role.json.detail, /^'user' is not a field of this call; it has [a-z_]+, [a-z_]+$/);
  });

  for (const id of ['0', '01', '1.0', '-1', '1e1', 'x', '%20', '9223372036854775808', '99999999999999999999', '%00', '..', '1%2f2', '%EF%BC%91'])
    it(`no task has the number ${id}`, async () => {
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        const res = await raw(method, `${P}/tasks/${id}`, method === 'PATCH' ? '{"title":"x"}' : undefined);
        assert.ok([400, 404].includes(res.status), `${method}: ${res.status} ${res.body}`);
        problem(res, res.status);
      }
    });

  for (const match of ['1', '"x"', '"0"', '"-1"', 'W/"1"', '"1", "2"', '"'])
    it(`If-Match: ${match}`, async () => {
      const task = await newTask();
      const res = await raw('PATCH', `${P}/tasks/${task.task_id}`, '{"status":"done"}', 'anna', { 'if-match': match });
      if (match === '1') assert.equal(res.status, 200, res.body);
      else problem(res, 422, 'invalid', 'If-Match');
    });

  it('lists page, and a made-up cursor is refused', async () => {
    for (let i = 0; i < 3; i++) await newTask();
    const seen = [];
    let cursor = '';
    do {
      const { json } = await api('GET', `${P}/tasks?limit=2${cursor && `&cursor=${cursor}`}`, { as: 'cleo' });
      seen.push(...json.items.map((t) => t.task_id));
      cursor = json.next_cursor;
    } while (cursor);
    assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b));
    for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'cursor=zz', 'cursor=00', `cursor=${'61'.repeat(600)}`])
      problem(await api('GET', `${P}/tasks?${bad}`, { as: 'cleo' }), 422);
  });

  it('an Idempotency-Key: one task, one event, one notification', async () => {
    const [anna, ben] = [await member('anna'), await pool.user(server, 'ben')];
    const headers = { 'idempotency-key': randomUUID() };
    const body = { title: 'Once', assignee_id: 'ben' };
    const [one, two] = [await api('POST', `${P}/tasks`, { as: 'anna', body, headers }), await api('POST', `${P}/tasks`, { as: 'anna', body, headers })];
    assert.deepEqual(one.json, two.json);
    await anna.event('task:created');
    await ben.event('notification:new');
    await anna.settle();
    assert.deepEqual(anna.all('task:created'), []);
    assert.deepEqual(ben.all('notification:new'), []);
  });

  it('assigned: a notification to all connections of the new assignee, and in the inbox', async () => {
    const [one, two, anna] = [await pool.user(server, 'ben'), await member('ben', { transports: ['polling'] }), await member('anna')];
    const task = await newTask({ title: 'Pour bay 3', assignee_id: 'ben' });
    const told = await one.event('notification:new');
    assert.deepEqual(told, { message: 'Anna assigned you a task: Pour bay 3', kind: 'task_assigned', project_id: 'proj-123', task_id: task.task_id, actor_id: 'anna', id: told.id });
    assert.deepEqual(await two.event('notification:new'), told);
    await api('PATCH', `${P}/tasks/${task.task_id}`, { as: 'anna', body: { assignee_id: 'ben', title: 'Pour bay 4' } });
    await anna.event('task:updated');
    await two.settle();
    assert.deepEqual([...one.all('notification:new'), ...anna.all('notification:new')], [], 'the same assignee again is no news');
    assert.deepEqual((await api('GET', '/api/notifications', { as: 'ben' })).json.items[0].data, told);
  });
});

describe('comments', () => {
  it('made: told with the guide’s payload; filtered by target', async () => {
    const anna = await member('anna');
    const [item, task] = [await made('boq', { code: '1' }), await newTask()];
    const res = await api('POST', `${P}/comments`, { as: 'eve', body: { text: 'Great work! ñ€😀\nindeed', item_id: item.item_id } });
    assert.equal(res.status, 201, res.body);
    assert.equal(res.headers.location, `${P}/comments/${res.json.comment_id}`);
    assert.equal(res.json.author_id, 'eve');
    assert.ok(Number.isInteger(res.json.comment_id) && !Number.isNaN(Date.parse(res.json.created_at)));
    assert.deepEqual(unnumbered(await anna.event('comment:created')), { project_id: 'proj-123', comment_id: res.json.comment_id, comment: res.json });
    const other = await newComment({ task_id: task.task_id });
    const ids = async (query) => (await api('GET', `${P}/comments?${query}`, { as: 'cleo' })).json.items.map((c) => c.comment_id);
    assert.deepEqual(await ids(`item_id=${item.item_id}`), [res.json.comment_id]);
    assert.deepEqual(await ids(`task_id=${task.task_id}`), [other.comment_id]);
    assert.deepEqual(await ids('item_id=none'), []);
    assert.ok((await ids('limit=1000')).length >= 2);
    for (const bad of [`item_id=${item.item_id}&task_id=1`, 'item_id=', 'item_id=a/b', 'task_id=0', 'task_id=x', 'task_id=1.5', `item_id=${'x'.repeat(300)}`])
      problem(await api('GET', `${P}/comments?${bad}`, { as: 'cleo' }), 422, 'invalid');
    assert.equal((await api('DELETE', `${P}/comments/${other.comment_id}`, { as: 'ben' })).status, 204);
    assert.deepEqual(unnumbered(await anna.event('comment:deleted')), { project_id: 'proj-123', comment_id: other.comment_id, updated_by: 'ben' });
  });

  for (const [what, body, field] of [
    ['no text', {}, 'text'],
    ['an empty text', { text: '' }, 'text'],
    ['a number', { text: 1 }, 'text'],
    ['a text too long', { text: 'x'.repeat(10001) }, 'text'],
    ['control characters', { text: 'a\u0007' }, 'text'],
    ['two targets', async () => ({ text: 'x', item_id: (await made('boq', {})).item_id, task_id: (await newTask()).task_id }), 'task_id'],
    ['a task’s number as text', { text: 'x', task_id: '1' }, 'task_id'],
    ['a task that is not there', { text: 'x', task_id: 999999 }, 'task_id'],
    ['another project’s task', () => ({ text: 'x', task_id: theirs.task }), 'task_id'],
    ['another project’s item', () => ({ text: 'x', item_id: theirs.item }), 'item_id'],
    ['an unknown field', { text: 'x', mentions: ['ben'] }, 'mentions'],
    ['a member twice', '{"text":"x","text":"y"}'],
  ])
    it(`refused: ${what}`, async () => {
      const value = typeof body === 'function' ? await body() : body;
      const res = await raw('POST', `${P}/comments`, typeof value === 'string' ? value : JSON.stringify(value), 'eve');
      assert.ok([400, 422].includes(res.status), res.body);
      problem(res, field ? 422 : res.status, undefined, field);
    });

  it('the author is who asks, whatever the body says', async () => {
    assert.equal((await newComment({ author_id: 'ben', comment_id: 1 }, 'eve')).author_id, 'eve');
  });

  it('mentions: members once each, never the author, nobody else', async () => {
    const [anna, ben, cleo, dora, eve] = await Promise.all(['anna', 'ben', 'cleo', 'dora', 'eve'].map((u) => pool.user(server, u)));
    const comment = await newComment({ text: '@ben @ben, (@cleo) @dora @nobody x@anna @eve: look.' }, 'eve');
    const told = await ben.event('notification:new');
    assert.deepEqual(told, {
      message: 'Eve mentioned you: @ben @ben, (@cleo) @dora @nobody x@anna @eve: look.', kind: 'mention', project_id: 'proj-123', comment_id: comment.comment_id, actor_id: 'eve', id: told.id,
    });
    assert.notEqual((await cleo.event('notification:new')).id, told.id);
    for (const c of [anna, ben, cleo, dora, eve]) {
      await c.ask('presence:list', { project_id: 'none' });
      assert.deepEqual(c.all('notification:new'), [], c.events.name);
    }
  });
});

describe('notifications', () => {
  it('wait for an absent user: newest first, paged, read one, read up to one, read all', async () => {
    await api('POST', '/api/notifications/read-all', { as: 'cleo' });
    for (let i = 0; i < 5; i++) assert.equal((await server.broadcast('notify', { user_id: 'cleo', notification_data: { message: `n${i}` } })).status, 202);
    const get = async (query = '') => (await api('GET', `/api/notifications?${query}`, { as: 'cleo' })).json;
    const first = await get('limit=2&unread=true');
    assert.deepEqual(first.items.map((n) => n.data.message), ['n4', 'n3']);
    assert.deepEqual(Object.keys(first.items[0]), ['id', 'data', 'created_at', 'read_at']);
    assert.equal(first.items[0].data.id, first.items[0].id);
    assert.equal(first.unread, 5);
    const second = await get(`limit=2&unread=true&cursor=${first.next_cursor}`);
    assert.deepEqual(second.items.map((n) => n.data.message), ['n2', 'n1']);
    const read = await api('POST', `/api/notifications/${second.items[0].id}/read`, { as: 'cleo' });
    assert.equal(read.status, 200, read.body);
    assert.ok(!Number.isNaN(Date.parse(read.json.read_at)));
    assert.equal((await get()).unread, 4);
    assert.deepEqual((await api('POST', '/api/notifications/read-all', { as: 'cleo', body: { up_to: second.items[1].id } })).json, { read: 2, unread: 2 });
    assert.deepEqual((await api('POST', '/api/notifications/read-all', { as: 'cleo' })).json, { read: 2, unread: 0 });
    assert.deepEqual((await get('unread=true')).items, []);
    assert.equal((await get('unread=false')).items[0].data.message, 'n4');
  });

  for (const [what, data, expected] of [
    ['the guide’s', { message: 'You were assigned a task' }, (id) => ({ message: 'You were assigned a task', id })],
    ['with an id of its own', { id: 'theirs', message: 'x' }, (id) => ({ id: 'theirs', message: 'x', notification_id: id })],
    ['with both names taken', { id: 1, notification_id: 2 }, () => ({ id: 1, notification_id: 2 })],
    ['empty', {}, (id) => ({ id })],
  ])
    it(`from a back end, unchanged but for its id: ${what}`, async () => {
      const cleo = await pool.user(server, 'cleo');
      const res = await server.broadcast('notify', { user_id: 'cleo', notification_data: data });
      assert.equal(res.json.recipients, 1);
      const { items } = (await api('GET', '/api/notifications?limit=1', { as: 'cleo' })).json;
      assert.deepEqual(await cleo.event('notification:new'), expected(items[0].id));
      assert.deepEqual(items[0].data, expected(items[0].id));
      assert.equal(res.json.id, `user:cleo:${items[0].id}`);
    });

  it('refused: bad queries, bodies and numbers', async () => {
    for (const bad of ['unread=yes', 'unread=', 'limit=0', 'cursor=x']) problem(await api('GET', `/api/notifications?${bad}`, { as: 'cleo' }), 422, 'invalid');
    for (const id of ['x', '0', '1.5', '99999999999999999999']) problem(await api('POST', `/api/notifications/${id}/read`, { as: 'cleo' }), 404, 'not_found');
    for (const body of [{ up_to: 0 }, { up_to: 'x' }, { up_to: 1.5 }, {}, { all: true }]) problem(await api('POST', '/api/notifications/read-all', { as: 'cleo', body }), 422, 'invalid');
    problem(await raw('POST', '/api/notifications/read-all', '{"up_to":1,"up_to":2}', 'cleo'), 400);
  });
});

describe('the event history', () => {
  it('is what the members were sent, dense and in order', async () => {
    const anna = await member('anna');
    const from = anna.joined.seq;
    const task = await newTask({ assignee_id: 'ben' });
    const item = await made('boq', { code: '1' });
    await api('PATCH', `${P}/boq/${item.item_id}`, { as: 'ben', body: { qty: 2 } });
    await api('POST', `${P}/boq/bulk`, { as: 'ben', body: { updates: [{ item_id: item.item_id, qty: '3.50' }, { item_id: 'none', qty: 1 }] } });
    await newComment({ task_id: task.task_id });
    await api('PATCH', P, { as: 'anna', body: { description: 'new' } });
    await api('PUT', `${P}/collaborators/dora`, { as: 'anna', body: { role: 'viewer' } });
    await api('DELETE', `${P}/collaborators/dora`, { as: 'anna' });
    await server.broadcast('task-update', { project_id: 'proj-123', task_id: 42, updates: {}, user_id: 'x' });
    await server.broadcast('emit', { room: 'project:proj-123', event: 'site:tick', data: [1] });
    await server.broadcast('emit', { room: 'project:proj-123', event: 'site:tick', data: { a: 1 }, except_sid: anna.socket.id });
    await server.cli(['project', 'share', 'proj-123', 'dora', 'viewer']); // another process
    await server.cli(['project', 'unshare', 'proj-123', 'dora']);
    await api('DELETE', `${P}/boq/${item.item_id}`, { as: 'anna' });
    const { json } = await api('GET', `${P}/events?after=${from}`, { as: 'cleo' });
    const types = ['task:created', 'boq:item:created', 'boq:item:updated', 'boq:bulk:updated', 'comment:created', 'project:updated', 'collaborator:changed',
      'collaborator:changed', 'task:updated', 'site:tick', 'site:tick', 'collaborator:changed', 'collaborator:changed', 'boq:item:deleted'];
    assert.deepEqual(json.items.map((e) => e.type), types);
    assert.deepEqual(json.items.map((e) => e.seq), types.map((_, i) => from + 1 + i));
    assert.equal(json.last_seq, from + types.length);
    assert.deepEqual([json.oldest_seq, json.next_after, json.must_reload], [1, null, false]);
    await anna.event('boq:item:deleted');
    const heard = anna.events.peek((e) => types.includes(e.name)).map((e) => [e.name, e.args[0]]);
    assert.deepEqual(heard, json.items.filter((e) => e.data.a !== 1).slice(0, -1).map((e) => [e.type, e.data]), 'the same bytes, the same order');
    for (const e of json.items) if (!Array.isArray(e.data)) assert.equal(e.data.seq, e.seq);
    assert.equal((await api('GET', P, { as: 'anna' })).json.seq, json.last_seq);
  });

  it('pages by after and limit, and says when one must load anew', async () => {
    const last = (await api('GET', P, { as: 'anna' })).json.seq;
    const seen = [];
    let after = 0;
    while (after !== null) {
      const { json } = await api('GET', `${P}/events?after=${after}&limit=7`, { as: 'anna' });
      assert.ok(json.items.length <= 7);
      seen.push(...json.items.map((e) => e.seq));
      after = json.next_after;
    }
    assert.deepEqual(seen, Array.from({ length: last }, (_, i) => i + 1));
    const end = (await api('GET', `${P}/events?after=${last}`, { as: 'anna' })).json;
    assert.deepEqual([end.items, end.must_reload, end.next_after], [[], false, null]);
    assert.equal((await api('GET', `${P}/events?after=${last + 1}`, { as: 'anna' })).json.must_reload, true, 'a number that never was');
    for (const bad of ['after=-1', 'after=x', 'after=1.5', 'after=', 'after=99999999999999999999', 'limit=0', 'limit=1001']) problem(await api('GET', `${P}/events?${bad}`, { as: 'anna' }), 422, 'invalid');
  });

  it('keeps the newest EVENTS_KEEP_COUNT; who lacks older ones must load anew', async () => {
    const own = await startServer({ env: { EVENTS_KEEP_COUNT: 10 } });
    try {
      const call = (method, target, body) => own.api(method, target, { as: 'anna', body });
      for (let i = 0; i < 30; i++) await call('POST', `${P}/comments`, { text: `${i}` });
      const last = (await call('GET', P)).json.seq;
      const json = await until(async () => {
        const answer = (await call('GET', `${P}/events?after=2`)).json;
        return answer.oldest_seq === last - 9 && answer;
      }, 'the older ones are gone', { timeout: 15000 });
      assert.equal(json.must_reload, true);
      assert.deepEqual(json.items.map((e) => e.seq), Array.from({ length: 10 }, (_, i) => last - 9 + i));
      assert.equal((await call('GET', `${P}/events?after=${last - 10}`)).json.must_reload, false);
      assert.equal((await call('GET', `${P}/comments`)).json.items.length, 30, 'the comments themselves stay');
      assert.ok((await own.metric('skybuild_store_swept_total')) > 0);
    } finally {
      await own.stop();
    }
  });

  it('many writers, two of them other processes: everybody hears all, once, in order', async () => {
    const [anna, ben] = [await member('anna'), await member('ben', { transports: ['polling'] })];
    const from = anna.joined.seq;
    const shares = (async () => {
      for (let i = 0; i < 4; i++) {
        await server.cli(['project', 'share', 'proj-123', 'dora', 'viewer']);
        await server.cli(['project', 'unshare', 'proj-123', 'dora']);
      }
    })();
    const writes = Array.from({ length: 8 }, async (_, w) => {
      for (let i = 0; i < 15; i++) await newComment({ text: `${w}/${i}` });
    });
    await Promise.all([shares, ...writes]);
    const n = 8 + 8 * 15;
    for (const c of [anna, ben]) {
      const seqs = [];
      for (let i = 0; i < n; i++) seqs.push((await c.events.next((e) => e.args[0]?.seq > from && e.name !== 'joined_project', { what: `event ${i} of ${n}` })).args[0].seq);
      assert.deepEqual(seqs, Array.from({ length: n }, (_, i) => from + 1 + i));
    }
  });
});

describe('a second server on the same database', () => {
  it('tells its own members what the first one has committed, in order', async () => {
    const second = await new Server(server.dir, server.env).listening();
    try {
      const far = await pool.user(second, 'cleo', { project: 'proj-123' });
      const near = await member('anna');
      const from = far.joined.seq;
      await Promise.all([
        ...Array.from({ length: 20 }, (_, i) => newComment({ text: `near ${i} @cleo` })),
        ...Array.from({ length: 20 }, (_, i) => second.api('POST', `${P}/comments`, { as: 'ben', body: { text: `far ${i}` } })),
      ]);
      for (const c of [far, near]) {
        const seqs = [];
        for (let i = 0; i < 40; i++) seqs.push((await c.event('comment:created')).seq);
        assert.deepEqual(seqs, Array.from({ length: 40 }, (_, i) => from + 1 + i), c.events.name);
      }
      assert.match((await far.event('notification:new')).message, /mentioned you: near/);
      // A socket's own room has no colon in its name.
      assert.equal((await server.broadcast('emit', { room: far.socket.id, event: 'to:one', data: 1 })).status, 202);
      assert.equal(await far.event('to:one'), 1);
      await server.broadcast('emit', { room: `room:${far.socket.id}`, event: 'to:nobody', data: 1 });
      await server.broadcast('emit', { room: far.socket.id, event: 'to:one', data: 2 });
      assert.equal(await far.event('to:one'), 2);
      assert.deepEqual(far.all('to:nobody'), []);
    } finally {
      pool.close();
      await second.end();
    }
  });
});

describe('documents', () => {
  it('every route of the table stands in docs/client.md or docs/operations.md', () => {
    const table = readFileSync(path.join(ROOT, 'server/api/routes.h'), 'utf8');
    const docs = ['client', 'operations'].map((f) => readFileSync(path.join(ROOT, `docs/${f}.md`), 'utf8')).join('\n');
    const rows = [...table.matchAll(/^\s*X\("(\w+)", (PROJECT)?[ ,]*(?:"([^"]*)")?/gm)].map(([, method, project, rest]) => [method, project ? `/api/projects/:project${rest?.startsWith('/') ? rest : ''}` : rest]);
    assert.ok(rows.length > 40, `${rows.length} rows were read`);
    const described = docs.replace(/\{\w+\}/g, '{}');
    for (const [method, pattern] of rows) {
      const target = `\`${method} ${pattern.replace(/:\w+/g, '{}')}`;
      const found = described.split(target).slice(1).some((rest) => /^[` ?]/.test(rest));
      assert.ok(found, `${method} ${pattern}`);
    }
  });
});

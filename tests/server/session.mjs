// One full session of the guide against a server under valgrind or a sanitizer:
// everything once, then a clean end.  Prints "session: N passed, N failed, 0 skipped".
import assert from 'node:assert/strict';
import { Client, clientPool, TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { Polling, RawWs, tcpTalk } from './lib/eio.mjs';
import { PASSWORD, startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';

let passed = 0, failed = 0;
const step = async (name, fn) => {
  try {
    await fn();
    passed++;
  } catch (e) {
    failed++;
    console.error(`session: FAILED ${name}: ${e.stack ?? e}`);
  }
};

const server = await startServer({ env: { PRESENCE_GRACE: 200, WORKERS: process.env.WORKERS } });
const pool = clientPool();
let item;

await step('login and REST', async () => {
  const login = await request(server.port, 'POST', '/api/auth/login', { json: { username: 'anna', password: PASSWORD('anna') } });
  assert.equal(login.status, 200, login.body);
  const bad = await request(server.port, 'POST', '/api/auth/login', { json: { username: 'anna', password: 'wrong' } });
  assert.equal(bad.status, 401, bad.body);
  const made = await server.api('POST', '/api/projects/proj-123/boq', {
    as: 'anna',
    body: { code: '01', description: 'Excavation', unit: 'm3', qty: '10', unit_price: '2.5', section: '01' },
  });
  assert.equal(made.status, 201, made.body);
  item = made.json.item_id;
});

const [, create] = VERSIONS.at(-1);
for (const [how, options] of TRANSPORTS)
  await step(`two users, ${how}`, async () => {
    const anna = await pool.user(server, 'anna', { create, ...options, project: 'proj-123' });
    const ben = await pool.user(server, 'ben', { create, ...options, project: 'proj-123' });
    if (how === 'upgrade') await Promise.all([anna.upgraded(), ben.upgraded()]);
    await anna.event('user:joined');
    await server.api('PATCH', `/api/projects/proj-123/boq/${item}`, { as: 'ben', body: { qty: 12 } });
    await anna.event('boq:item:updated');
    await server.api('POST', '/api/projects/proj-123/boq/bulk', { as: 'ben', body: { updates: [{ item_id: item, qty: 13 }] } });
    await anna.event('boq:bulk:updated');
    await server.broadcast('task-update', { project_id: 'proj-123', task_id: 1, updates: { status: 'done' }, user_id: 'ben' });
    await anna.event('task:updated');
    await server.broadcast('comment', { project_id: 'proj-123', comment_id: 1, comment_data: { text: 'x' } });
    await anna.event('comment:created');
    await server.broadcast('notify', { user_id: 'anna', notification_data: { message: 'x' } });
    await anna.event('notification:new');
    ben.emit('cursor:move', { project_id: 'proj-123', cursor: { x: 1, y: 2 } });
    ben.emit('typing:start', { project_id: 'proj-123', target: 'item' });
    await anna.event('typing:started');
    await ben.ask('presence:update', { project_id: 'proj-123', state: { idle: true } });
    await anna.ask('presence:list', { project_id: 'proj-123' });
    await anna.ask('auth:refresh', { token: server.token('anna', { ttl: 7200 }) });
    ben.emit('leave_project', { project_id: 'proj-123' });
    await anna.event('user:left');
    pool.close();
  });

await step('tasks, comments, notifications, history', async () => {
  const anna = await pool.user(server, 'anna', { create, project: 'proj-123' });
  const call = async (as, method, path, body) => {
    const res = await server.api(method, `/api${path}`, { as, body });
    assert.ok(res.status < 300, `${method} ${path}: ${res.status} ${res.body}`);
    return res.json;
  };
  const task = await call('ben', 'POST', '/projects/proj-123/tasks', { title: 'Pour', assignee_id: 'anna', item_id: item });
  await anna.event('task:created');
  await anna.event('notification:new');
  await call('ben', 'PATCH', `/projects/proj-123/tasks/${task.task_id}`, { status: 'done', version: 1 });
  await anna.event('task:updated');
  const comment = await call('ben', 'POST', '/projects/proj-123/comments', { text: '@anna done', task_id: task.task_id });
  await anna.event('comment:created');
  const stale = await server.api('DELETE', `/api/projects/proj-123/tasks/${task.task_id}`, { as: 'ben', headers: { 'if-match': '"1"' } });
  assert.equal(stale.status, 409);
  await call('ben', 'DELETE', `/projects/proj-123/comments/${comment.comment_id}`);
  await call('ben', 'DELETE', `/projects/proj-123/tasks/${task.task_id}`);
  const inbox = await call('anna', 'GET', '/notifications?unread=true');
  await call('anna', 'POST', `/notifications/${inbox.items[0].id}/read`);
  await call('anna', 'POST', '/notifications/read-all');
  const history = await call('anna', 'GET', `/projects/proj-123/events?after=${anna.joined.seq}`);
  assert.deepEqual(history.items.map((e) => e.type), ['task:created', 'task:updated', 'comment:created', 'comment:deleted', 'task:deleted']);
  pool.close();
});

await step('refusals', async () => {
  for (const auth of [{}, { token: 'abc' }, { token: server.token('anna', { ttl: -3600 }) }]) {
    const c = new Client(server.url, { auth, transports: ['websocket'] });
    await c.event('connect_error');
    c.close();
  }
  const dora = await pool.user(server, 'dora');
  dora.emit('join_project', { project_id: 'proj-123' });
  await dora.event('error');
  pool.close();
});

await step('broken peers', async () => {
  await tcpTalk(server.port, 'GET / HTTP/1.1\r\n\r\n');
  await tcpTalk(server.port, 'POST /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
  const p = await new Polling(server.port).open();
  await p.connect({ token: server.token('anna') });
  await p.post('abc');
  const ws = await new RawWs(server.port).handshakeDone();
  ws.send('42["early"]');
  await ws.end();
  const gone = await new RawWs(server.port).handshakeDone();
  await gone.connect({ token: server.token('anna') });
  gone.destroy();
});

await step('access revoked, and the end', async () => {
  const cleo = await pool.user(server, 'cleo', { project: 'proj-123' });
  await server.cli(['project', 'unshare', 'proj-123', 'cleo']);
  await cleo.event('access:revoked');
});
// Two clients stay connected, so that the shutdown has something to close.
await pool.user(server, 'anna', { project: 'proj-123' }).catch(() => {});
await pool.user(server, 'ben', { project: 'proj-123', transports: ['polling'] }).catch(() => {});
await step('clean end, nothing leaked', () => server.stop());
pool.close();
console.log(`session: ${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);

// skybuild trace: live packets of chosen sockets, on both transports, without tokens; bounded, and over when the tracer is gone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool, TRANSPORTS } from './lib/clients.mjs';
import { RawWs } from './lib/eio.mjs';
import { SKYBUILD, startServer } from './lib/harness.mjs';
import { until } from './lib/queue.mjs';

const pool = clientPool();
const children = new Set();
let server;

before(async () => {
  server = await startServer({ env: { RATE_LIMIT_EVENTS: 0, MAX_CONNECTIONS_PER_USER: 0 } });
});
afterEach(() => {
  pool.close();
  children.forEach((c) => c.kill('SIGKILL'));
});
after(() => server?.stop());

// A running tracer: {lines, packets(), end(signal): {code, stderr}}
async function trace(args, { at = server } = {}) {
  const child = spawn(SKYBUILD, ['trace', ...args, '--url', at.url], { cwd: at.dir, env: { ...process.env, ...at.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  const t = { child, stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (d) => (t[name] += d));
  t.exited = new Promise((resolve) => child.on('close', (code, signal) => (children.delete(child), resolve(code ?? signal))));
  t.packets = () => t.stdout.slice(0, t.stdout.lastIndexOf('\n') + 1).split('\n').filter(Boolean).map((l) => JSON.parse(l));
  t.find = (test, what) => until(() => t.packets().find(test), what ?? String(test));
  t.end = async (signal = 'SIGINT') => {
    child.kill(signal);
    return { code: await t.exited };
  };
  await until(() => /tracing at/.test(t.stderr) || child.exitCode !== null, 'the trace has begun');
  return t;
}
const call = (method, path, opts = {}) => server.api(method, path, { key: true, ...opts });
const begin = async (body) => (await call('POST', '/api/traces', { body })).json.id;

describe('what is shown', () => {
  for (const [how, options] of TRANSPORTS)
    it(`a user’s packets in both directions, ${how}`, async () => {
      const t = await trace(['--user', 'anna', '--json']);
      const c = pool.open(server.url, { auth: { token: server.token('anna') }, ...options });
      await c.event('connected');
      if (how === 'upgrade') await c.upgraded();
      const ben = await pool.user(server, 'ben', { project: 'proj-123' });
      c.emit('join_project', { project_id: 'proj-123' });
      await c.event('joined_project');
      await c.ask('presence:list', { project_id: 'proj-123' });
      ben.emit('cursor:move', { project_id: 'proj-123', cursor: { x: 1 } });
      await c.event('cursor:moved');
      const moved = await t.find((p) => p.event === 'cursor:moved');
      assert.deepEqual([moved.direction, moved.user, moved.sid, moved.type, moved.namespace], ['out', 'anna', c.socket.id, 'event', '/']);
      assert.deepEqual(moved.args[0].cursor, { x: 1 });
      assert.equal(moved.transport, how.startsWith('polling') ? 'polling' : 'websocket');
      assert.match(moved.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      const all = t.packets();
      const join = all.find((p) => p.event === 'join_project');
      assert.deepEqual([join.direction, join.args], ['in', [{ project_id: 'proj-123' }]]);
      assert.ok(join.bytes > 30);
      const asked = all.find((p) => p.event === 'presence:list');
      const ack = all.find((p) => p.type === 'ack' && p.ack === asked.ack);
      assert.deepEqual([ack.direction, ack.args[0].ok], ['out', true]);
      assert.ok(all.some((p) => p.event === 'connected' && p.direction === 'out'));
      assert.ok(all.every((p) => p.user === 'anna'), 'nobody else’s');
      assert.deepEqual(await t.end(), { code: 0 });
    });

  it('of a project: its members alone; of a socket: that one alone', async () => {
    const [anna, other] = [await pool.user(server, 'anna', { project: 'proj-123' }), await pool.user(server, 'anna', { project: 'proj-456' })];
    const [project, sid] = [await trace(['--project', 'proj-123', '--json']), await trace(['--sid', other.socket.id, '--json'])];
    await anna.ask('presence:list', { project_id: 'proj-123' });
    await other.ask('presence:list', { project_id: 'proj-456' });
    for (const [t, mine] of [[project, anna], [sid, other]]) {
      await t.find((p) => p.type === 'ack');
      assert.deepEqual([...new Set(t.packets().map((p) => p.sid))], [mine.socket.id]);
      await t.end();
    }
  });

  it('in words, without control characters; --count ends it', async () => {
    const c = await pool.user(server, 'anna', { project: 'proj-123' });
    const t = await trace(['--user', 'anna', '--count', '2']);
    c.emit('no_such_event', '\u009b31m\u007f \u001b]0;x\u0007 é');
    c.emit('no_such_event', 2);
    assert.equal(await t.exited, 0);
    const lines = t.stdout.trim().split('\n');
    assert.equal(lines.length, 2);
    assert.match(lines[0], new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z anna ${c.socket.id} in  (websocket|polling)\\s+event "no_such_event" .* é"\\] \\d+ bytes$`));
    assert.ok(!/[\u007f-\u009f\u001b]/.test(t.stdout));
  });

  it('--seconds ends it', async () => {
    const t = await trace(['--user', 'anna', '--seconds', '1', '--json']);
    assert.equal(await t.exited, 0);
  });

  it('binary packets: their placeholders and sizes; long ones are cut', async () => {
    const t = await trace(['--user', 'anna', '--json']);
    const c = await pool.user(server, 'anna', { project: 'proj-123' });
    c.socket.emit('upload', Buffer.alloc(1000), { x: Buffer.alloc(5) });
    c.socket.emit('long', `${'é'.repeat(4000)}`);
    const up = await t.find((p) => p.type === 'binary_event');
    assert.deepEqual([up.event, up.attachments, up.args[0]], ['upload', 2, { _placeholder: true, num: 0 }]);
    const long = await t.find((p) => p.event === 'long');
    assert.ok(long.bytes > 8000 && long.args === undefined && /^"é+$/.test(long.begin) && Buffer.byteLength(long.begin) <= 4096);
    assert.deepEqual(t.packets().filter((p) => p.type === 'attachment').map((p) => p.bytes), [1000, 5]);
    await t.end();
  });

  it('no token: of CONNECT, of auth:refresh however it is written, of what is malformed', async () => {
    const token = server.token('anna');
    const t = await trace(['--user', 'anna', '--json']);
    const w = await new RawWs(server.port, {}).open();
    w.send(`40${JSON.stringify({ token })}`);
    await w.text('42["connected"');
    w.send(`40/other,${JSON.stringify({ token })}`);
    await w.text('44/other');
    w.send(`42["auth:refresh",${JSON.stringify({ token })}]`);
    w.send(`42["auth:refres\\u0068",${JSON.stringify({ token })}]`);
    w.send(`42["auth:refresh",${JSON.stringify({ token })}`);
    await t.find((p) => p.type === 'malformed');
    assert.equal(t.packets().filter((p) => p.is_hidden).length, 4, t.stdout);
    assert.ok(t.packets().some((p) => p.type === 'connect' && p.namespace === '/other' && p.direction === 'in'));
    const refused = t.packets().find((p) => p.type === 'connect_error');
    assert.deepEqual([refused.namespace, refused.args], ['/other', { message: 'Invalid namespace' }]);
    const part = token.split('.')[2];
    assert.ok(!(t.stdout + t.stderr).includes(part));
    w.destroy();
    await t.end();
  });
});

describe('its bounds', () => {
  it('a flood: what is too much is counted, and the server lives', async () => {
    const id = await begin({ by: 'user', id: 'anna' });
    const c = await pool.user(server, 'anna', { project: 'proj-123' });
    const text = 'x'.repeat(3000);
    for (let i = 0; i < 600; i++) c.socket.emit('flood', text);
    await c.ask('presence:list', { project_id: 'proj-123' });
    const got = await call('GET', `/api/traces/${id}`);
    assert.ok(got.json.packets.length > 300 && got.body.length <= 1024 * 1024 + 64, String(got.body.length));
    assert.ok(got.json.missed > 100);
    const floods = got.json.packets.filter((p) => p.event === 'flood').length;
    assert.ok(floods + got.json.missed >= 600);
    const again = await call('GET', `/api/traces/${id}`);
    assert.deepEqual([again.json.packets, again.json.missed], [[], 0], 'fetched once');
    await call('DELETE', `/api/traces/${id}`);
    assert.equal((await call('GET', `/api/traces/${id}`)).json.code, 'not_found');
  });

  it('the command says how many were not shown', async () => {
    const c = await pool.user(server, 'anna', { project: 'proj-123' });
    const t = await trace(['--user', 'anna', '--json']);
    t.child.kill('SIGSTOP');
    const text = 'x'.repeat(3000);
    for (let i = 0; i < 600; i++) c.socket.emit('flood', text);
    await c.ask('presence:list', { project_id: 'proj-123' });
    t.child.kill('SIGCONT');
    await until(() => /skybuild: \d+ packets were not shown/.test(t.stderr), 'it says so');
    await t.end();
  });

  it('four at once, and a fifth when one has ended', async () => {
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push(await begin({ by: 'user', id: 'anna' }));
    const fifth = await call('POST', '/api/traces', { body: { by: 'user', id: 'anna' } });
    assert.deepEqual([fifth.status, fifth.json.code], [503, 'too_many_traces']);
    assert.equal((await call('DELETE', `/api/traces/${ids.pop()}`)).status, 200);
    ids.push(await begin({ by: 'project', id: 'proj-123' }));
    for (const id of ids) await call('DELETE', `/api/traces/${id}`);
  });

  it('a tracer that is killed: the trace ends by itself', async () => {
    const before = server.logged(/A trace of user:anna was begun/).length;
    const ids = [];
    const t = await trace(['--user', 'anna']);
    assert.equal(server.logged(/A trace of user:anna was begun/).length, before + 1);
    for (let i = 0; i < 3; i++) ids.push(await begin({ by: 'user', id: 'ben' }));
    assert.equal((await call('POST', '/api/traces', { body: { by: 'user', id: 'ben' } })).status, 503);
    await t.end('SIGKILL');
    for (const id of ids) await call('DELETE', `/api/traces/${id}`);
    // Its place is free again: four fit.
    await until(async () => {
      const got = [];
      for (let i = 0; i < 4; i++) got.push((await call('POST', '/api/traces', { body: { by: 'user', id: 'ben' } })).json.id);
      for (const id of got.filter(Boolean)) await call('DELETE', `/api/traces/${id}`);
      return got.every(Boolean);
    }, 'all four places are free', { timeout: 15000 });
  });

  it('one that does not fetch: over after its lease', async () => {
    const id = await begin({ by: 'sid', id: 'nobody' });
    // Not asked for: a fetch would begin the lease anew.  Four others show that its place is free.
    const others = [];
    for (let i = 0; i < 3; i++) others.push(await begin({ by: 'user', id: 'ben' }));
    await until(async () => {
      for (const other of others) await call('GET', `/api/traces/${other}`);
      const got = await call('POST', '/api/traces', { body: { by: 'user', id: 'ben' } });
      return got.status === 201 && others.push(got.json.id);
    }, 'a place is free', { timeout: 15000 });
    assert.equal((await call('GET', `/api/traces/${id}`)).status, 404);
    for (const other of others) await call('DELETE', `/api/traces/${other}`);
  });

  it('Ctrl-C ends it at the server at once', async () => {
    const t = await trace(['--user', 'anna']);
    assert.equal((await t.end('SIGINT')).code, 0);
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push(await begin({ by: 'user', id: 'ben' }));
    assert.ok(ids.every(Boolean), 'all four places are free');
    for (const id of ids) await call('DELETE', `/api/traces/${id}`);
  });
});

describe('who may, and what is refused', () => {
  for (const [name, body] of [['nothing', {}], ['no id', { by: 'user' }], ['an empty id', { by: 'user', id: '' }], ['another kind', { by: 'room', id: 'x' }], ['a long id', { by: 'sid', id: 'x'.repeat(256) }],
    ['a number', { by: 'user', id: 1 }], ['something else', { by: 'user', id: 'x', room: 'project:x' }]])
    it(`${name}: 422`, async () => assert.equal((await call('POST', '/api/traces', { body })).status, 422));

  it('no key, a wrong one, a user’s token', async () => {
    for (const [method, path] of [['POST', '/api/traces'], ['GET', '/api/traces/x'], ['DELETE', '/api/traces/x']]) {
      assert.equal((await server.api(method, path, { body: method === 'POST' ? { by: 'user', id: 'anna' } : undefined })).status, 401);
      for (const key of ['wrong', server.token('anna')]) assert.equal((await server.api(method, path, { key, body: method === 'POST' ? { by: 'user', id: 'anna' } : undefined })).json.code, 'service_key_wrong');
    }
    const got = await server.cli(['trace', '--user', 'anna', '--url', server.url], { fails: true, env: { SERVICE_API_KEY: 'not-the-key-of-it' } });
    assert.equal(got.code, 1);
    assert.match(got.stderr, /does not accept this service key/);
  });

  it('a trace that is not there', async () => {
    for (const id of ['x', 'a'.repeat(300)]) for (const method of ['GET', 'DELETE']) assert.equal((await call(method, `/api/traces/${id}`)).status, 404);
  });
});

it('two workers: the packets of both; a server that stops under it ends it', async () => {
  const own = await startServer({ env: { WORKERS: 2, RATE_LIMIT_EVENTS: 0 } });
  try {
    const t = await trace(['--project', 'proj-123', '--json'], { at: own });
    const clients = await Promise.all(Array.from({ length: 8 }, () => pool.user(own, 'anna', { project: 'proj-123' })));
    // A worker hears of the trace a moment after it was begun.
    await until(async () => {
      for (const c of clients) c.emit('presence:list', { project_id: 'proj-123' });
      return new Set(t.packets().filter((p) => p.event === 'presence:list').map((p) => p.sid)).size === clients.length;
    }, 'each client’s packets');
    await own.end();
    assert.equal(await t.exited, 1);
    assert.match(t.stderr, /does not answer/);
  } finally {
    await own.stop();
  }
});

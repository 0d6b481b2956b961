// Several event loops in one process: their clients are one crowd, whichever loop the kernel
// gives a connection to.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeCert } from './lib/cert.mjs';
import { clientPool, TRANSPORTS } from './lib/clients.mjs';
import { Polling } from './lib/eio.mjs';
import { freePort, run, serverEnv, SKYBUILD, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { until } from './lib/queue.mjs';
import { startRedis } from './lib/redis.mjs';
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const P = 'proj-123';
const pool = clientPool();
after(() => pool.close());

const boq = (s, item) => s.broadcast('boq-update', { project_id: P, item_id: item, updates: { qty: '1' }, user_id: 'anna' });
const verbose = async (s) => (await request(s.port, 'GET', '/ws/status?verbose=1')).json;
const nodeOf = (c) => c.socket.io.engine.id.slice(0, 20);
const metrics = async (s) => (await request(s.port, 'GET', '/metrics')).body;
// A counter of each worker.
async function byWorker(s, name) {
  return [...(await metrics(s)).matchAll(new RegExp(`^${name}\\{worker="(\\d+)"\\} (\\d+)$`, 'gm'))].map((m) => Number(m[2]));
}
const sum = (list) => list.reduce((a, b) => a + b, 0);

// Clients of anna until every worker has one; all joined.
async function oneOnEach(server, workers, options) {
  const found = new Map();
  for (let i = 0; i < 200 && found.size < workers; i++) {
    const c = await pool.user(server, 'anna', { ...options });
    if (found.has(nodeOf(c))) c.close();
    else found.set(nodeOf(c), c);
  }
  assert.equal(found.size, workers, 'a client on every worker');
  for (const c of found.values()) {
    c.emit('join_project', { project_id: P });
    await c.event('joined_project');
  }
  return [...found.values()];
}

for (const [what, withRedis] of [['on the bus in memory', false], ['over Redis', true]])
  describe(`three workers ${what}`, () => {
    let server, redis;
    before(async () => {
      redis = withRedis && (await startRedis());
      server = await startServer({ env: { WORKERS: 3, ...(redis ? { REDIS_ENABLED: 'true', REDIS_URL: redis.url } : {}) } });
      await until(async () => (await verbose(server)).nodes === 3, 'the workers know each other');
    });
    after(async () => {
      pool.close();
      await server?.stop();
      await redis?.stop?.();
    });

    for (const [how, options] of TRANSPORTS)
      it(`${how}: durable events at clients of all workers, once and in order; cursors`, async () => {
        const clients = await oneOnEach(server, 3, options);
        const N = 60;
        for (let i = 0; i < N; i++) assert.equal((await boq(server, `${how}-${i}`)).status, 202);
        for (const c of clients) {
          await until(() => c.all('boq:item:updated').length >= N, 'all events');
          assert.deepEqual(c.all('boq:item:updated').map((d) => d.item_id), Array.from({ length: N }, (_, i) => `${how}-${i}`));
        }
        await until(() => {
          clients[0].emit('cursor:move', { project_id: P, cursor: how });
          return clients.slice(1).every((c) => c.all('cursor:moved').some((d) => d.cursor === how));
        }, 'the cursor comes to the others');
        for (const c of clients) c.close();
      });

    it('a user with tabs on all workers joins once and leaves once', async () => {
      const ben = await pool.user(server, 'ben', { project: P });
      const tabs = await oneOnEach(server, 3, { transports: ['websocket'] });
      await ben.event('user:joined', (d) => d.user_id === 'anna');
      for (const c of tabs) c.close();
      await ben.event('user:left', (d) => d.user_id === 'anna');
      await ben.ask('presence:list', { project_id: P });
      assert.deepEqual([ben.all('user:joined'), ben.all('user:left')], [[], []]);
      ben.close();
    });

    it('a client that was cut off comes back to whichever worker, and has missed nothing', async () => {
      for (let i = 0; i < 4; i++) {
        const c = await pool.user(server, 'eve', { project: P, transports: ['websocket'], reconnection: true, reconnectionDelay: 300, reconnectionDelayMax: 400 });
        await boq(server, `before-${i}`);
        await c.event('boq:item:updated', (d) => d.item_id === `before-${i}`);
        const before = c.socket.id;
        c.socket.io.engine.close();
        await boq(server, `missed-${i}`);
        await c.event('connect');
        assert.equal(c.socket.recovered, true);
        assert.equal(c.socket.id, before);
        await c.event('boq:item:updated', (d) => d.item_id === `missed-${i}`);
        c.close();
      }
    });

    it('a polling session whose requests the kernel gives to any worker', async () => {
      const before = sum(await byWorker(server, 'skybuild_carried_out_total'));
      const s = await new Polling(server.port).open(); // each request on a connection of its own
      await s.connect({ token: server.token('ben') });
      for (let i = 0; i < 30; i++) {
        assert.equal((await s.post(`42${i}["presence:list",{"project_id":"${P}"}]`)).body, 'ok');
        assert.match(await s.next(`43${i}`), /^43/);
      }
      assert.ok(sum(await byWorker(server, 'skybuild_carried_out_total')) > before + 10);
      const passed = sum(await byWorker(server, 'skybuild_carried_passed_total'));
      assert.ok(redis ? passed === 0 : passed > 10, `${passed} handed over`);
      await s.post('41');
    });

    it('status counts all; metrics are those of all workers, each family once', async () => {
      const clients = await oneOnEach(server, 3, { transports: ['websocket'] });
      await until(async () => (await server.status()).active_connections === 3, 'three connections');
      assert.deepEqual(await byWorker(server, 'skybuild_connections'), [1, 1, 1]);
      const text = await metrics(server);
      const heads = [...text.matchAll(/^# HELP (\S+)/gm)].map((m) => m[1]);
      assert.equal(new Set(heads).size, heads.length);
      assert.match(text, /^skybuild_sessions\{worker="2",transport="websocket"\} 1$/m);
      assert.match(text, /^process_cpu_seconds_total \d/m);
      for (const line of text.split('\n').filter((l) => l && !l.startsWith('#'))) assert.match(line, /^[a-z_]+(\{[^{}]+\})? \S+$/);
      const { nodes, workers } = await verbose(server);
      assert.deepEqual([nodes, workers], [3, 3]);
      for (const c of clients) c.close();
    });

    it('many clients at once, and nothing is left', async () => {
      const clients = await Promise.all(Array.from({ length: 30 }, (_, i) => pool.user(server, ['anna', 'ben', 'eve'][i % 3], { project: P, transports: [i % 2 ? 'websocket' : 'polling'] })));
      await boq(server, 'for all');
      for (const c of clients) await c.event('boq:item:updated', (d) => d.item_id === 'for all');
      for (const c of clients) c.close();
      await until(async () => (await server.status()).active_connections === 0 && sum(await byWorker(server, 'skybuild_carried')) === 0, 'all have gone', { timeout: 20000 });
      assert.equal(sum(await byWorker(server, 'skybuild_adapter_refused_total')), 0);
    });
  });

describe('with TLS, whose connections cannot be handed over', () => {
  it('polling and upgrade: the requests are carried', async () => {
    const dir = tempDir();
    const live = await makeCert(dir);
    const server = await startServer({ env: { WORKERS: 3, TLS_CERT: live.cert, TLS_KEY: live.key } });
    for (const [how, options] of TRANSPORTS) {
      const clients = await oneOnEach(server, 3, { ...options, ca: live.pem, project: undefined });
      await Promise.all(clients.map((c) => (how === 'upgrade' ? c.upgraded() : c)));
      for (const c of clients) for (let i = 0; i < 20; i++) await c.ask('presence:list', { project_id: P });
      for (const c of clients) c.close();
    }
    await server.stop();
    rmSync(dir, { recursive: true });
  });
});

describe('starting and ending', () => {
  it('a port that another program has is refused, though workers share theirs', async () => {
    const first = await startServer({ env: { WORKERS: 2 }, fill: 'none' });
    const dir = tempDir();
    const env = serverEnv(dir, { WORKERS: 2, PORT: first.port });
    const got = await run(SKYBUILD, ['serve'], { env, cwd: dir });
    assert.equal(got.code, 1);
    assert.match(got.stderr, new RegExp(`cannot listen on HOST=127.0.0.1 PORT=${first.port}: Address already in use; PORT=0 picks a free port`));
    rmSync(dir, { recursive: true });
    await first.stop();
  });

  it('a store that each worker would have for itself is refused', async () => {
    const dir = tempDir();
    const got = await run(SKYBUILD, ['serve', '--check'], { env: serverEnv(dir, { WORKERS: 2, DATABASE_URL: 'sqlite:///:memory:' }), cwd: dir });
    assert.equal(got.code, 1);
    assert.match(got.stderr, /WORKERS=2 cannot be used with DATABASE_URL=sqlite:\/\/\/:memory:: each worker would have a store of its own/);
    rmSync(dir, { recursive: true });
  });

  it('WORKERS=0 is one a core; Redis that is away is waited for once, not by each', async () => {
    const env = { WORKERS: 0, REDIS_ENABLED: 'true', REDIS_REQUIRED: 'false', REDIS_URL: `redis://127.0.0.1:${await freePort()}/0` };
    const alone = await startServer({ env: { WORKERS: 0 }, fill: 'none' });
    const workers = new Set((await metrics(alone)).match(/worker="\d+"/g) ?? ['one']);
    assert.equal(workers.size, availableParallelism());
    await alone.stop();
    const begun = Date.now();
    const server = await startServer({ env: { ...env, WORKERS: 6 }, fill: 'none' });
    assert.ok(Date.now() - begun < 20000, `${Date.now() - begun} ms`); // six times 4.5 s it would be
    assert.equal(server.logged(/Redis: .*; started without it/).length, 1);
    await server.stop();
  });

  it('SIGTERM drains all; clients of every worker hear of the end', async () => {
    const server = await startServer({ env: { WORKERS: 3 } });
    const clients = await oneOnEach(server, 3, { transports: ['websocket'] });
    const ended = server.end();
    for (const c of clients) await c.events.next((e) => e.name === 'disconnect', { what: 'disconnect' });
    await ended;
    assert.equal(server.logged(/Stopped/).length, 1);
    await server.stop();
  });

  it('SIGHUP reads the certificate on every worker', async () => {
    const server = await startServer({ env: { WORKERS: 2 }, fill: 'none' });
    server.child.kill('SIGHUP');
    await until(() => server.logged(/nothing to read again without TLS_CERT/).length === 2, 'both say so');
    await server.stop();
  });
});

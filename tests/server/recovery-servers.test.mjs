// Recovery over several servers on one store: a client comes back to any of them, after its own
// was killed, and has every durable event once and in order.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool, COMES_BACK } from './lib/clients.mjs';
import { cliIn, fillStore, serverEnv, startServer, tempDir } from './lib/harness.mjs';
import { Network } from './lib/network.mjs';
import { Postgres } from './lib/postgres.mjs';
import { sleep, until } from './lib/queue.mjs';
import { startRedis } from './lib/redis.mjs';
import { knowEachOther, metric } from './lib/servers.mjs';

const PROJECTS = ['proj-123', 'proj-456'];
const N = 3;
const pool = clientPool();
afterEach(() => {
  pool.close();
  Network.closeAll();
});

async function comment(server, text, project = PROJECTS[0]) {
  const res = await server.api('POST', `/api/projects/${project}/comments`, { as: 'ben', body: { text } });
  assert.equal(res.status, 201, res.body);
  return res.json;
}

// A client behind a network of its own, in both projects.
async function arrive(server, user, options = {}) {
  const network = await new Network(server.port).listen();
  const c = pool.open(network.url, {
    name: user,
    auth: { token: server.token(user), projects: PROJECTS },
    ...COMES_BACK,
    ...options,
  });
  c.network = network;
  await c.connected();
  for (const id of PROJECTS) await c.event('joined_project', (d) => d.project_id === id);
  return c;
}

const seqs = (c, project) => c.all('comment:created').filter((d) => d.project_id === project).map((d) => d.seq);

// Each project's numbers, without a hole, a double or a step back.
function assertDense(c) {
  for (const project of PROJECTS) {
    const got = seqs(c, project);
    assert.ok(got.every((seq, i) => i === 0 || seq === got[i - 1] + 1), `${c.name} ${project}: ${got.join(' ')}`);
  }
}

for (const database of ['sqlite', 'postgres'])
  describe(`three servers on ${database}`, () => {
    let redis, pg, dir, env;
    const servers = [];
    const startOne = async (i) => (servers[i] = await startServer({ dir, fill: 'none', env }));

    before(async () => {
      redis = await startRedis();
      dir = tempDir();
      const { JWT_SECRET, SERVICE_API_KEY } = serverEnv(dir);
      env = { JWT_SECRET, SERVICE_API_KEY, REDIS_ENABLED: 'true', REDIS_URL: redis.url, LOG_LEVEL: 'INFO' };
      if (database === 'postgres') {
        pg = new Postgres();
        env.DATABASE_URL = pg.url('recovery_servers');
      }
      await fillStore((args, opts) => cliIn(dir, serverEnv(dir, env), args, opts));
      for (let i = 0; i < N; i++) await startOne(i);
      await knowEachOther(servers);
    });
    after(async () => {
      pool.close();
      for (const s of servers) if (s.alive()) await s.end();
      await redis?.stop();
      pg?.remove();
      rmSync(dir, { recursive: true, force: true });
    });

    it('a network that is cut: the client comes back to another server, again and again', async () => {
      const c = await arrive(servers[0], 'anna');
      const id = c.socket.id;
      for (let round = 1; round <= 4; round++) {
        c.network.cut();
        await c.lost();
        await Promise.all(servers.map((s, i) => comment(s, `${round}.${i} @anna`, PROJECTS[i % 2])));
        c.network.to = servers[round % N].port;
        c.network.mend();
        assert.equal(await c.back(), true, `round ${round}`);
        assert.equal(c.socket.id, id);
        await until(() => c.all('comment:created').length === N * round, `${N * round} comments`);
        await until(() => c.all('notification:new').length === N * round, 'as many notifications');
      }
      assertDense(c);
      assert.equal(await metric(servers[0], 'skybuild_recoveries_total{result="unknown"}'), 0);
    });

    it('while its server believes that it is there: that connection ends, and its end changes nothing', async () => {
      const c = await arrive(servers[0], 'anna');
      const links = () => metric(servers[0], 'skybuild_sessions{transport="websocket"}');
      const losses = async () => (await metric(servers[0], 'skybuild_store_requests_total{op="session_left"}')) || 0;
      const [before, lossesBefore] = [await links(), await losses()];
      c.network.isCut = true;
      c.network.strand();
      await c.lost();
      await comment(servers[1], 'meanwhile');
      assert.equal(await links(), before);
      c.network.to = servers[1].port;
      c.network.mend();
      assert.equal(await c.back(), true);
      await until(async () => (await links()) < before, 'the old connection has ended');
      // Its loss is told behind its return, and the client is not the worse for it.
      await until(async () => (await losses()) > lossesBefore, 'its loss was told');
      c.network.cut();
      await c.lost();
      c.network.to = servers[2].port;
      c.network.mend();
      assert.equal(await c.back(), true);
      await until(() => c.all('comment:created').length === 1, 'the comment, once');
      assertDense(c);
    });

    if (database === 'postgres') it('the database is away while a client comes back: it comes again until it is recovered', async () => {
      const c = await arrive(servers[0], 'anna');
      const id = c.socket.id;
      await comment(servers[0], 'before');
      await c.event('comment:created');
      pg.stop();
      c.network.cut();
      await c.lost();
      let attempts = 0;
      c.socket.io.on('open', () => attempts++);
      c.network.to = servers[1].port;
      c.network.mend();
      await until(() => attempts >= 2, 'it was sent away, and came again');
      pg.start();
      await until(async () => (await servers[2].api('POST', `/api/projects/${PROJECTS[0]}/comments`, { as: 'ben', body: { text: 'while it comes' } })).status === 201, 'the database is back');
      assert.equal(await c.back(), true);
      assert.equal(c.socket.id, id);
      await c.event('comment:created', (d) => d.comment.text === 'while it comes');
      assertDense(c);
    });

    it('writers on all servers, clients that move at any moment: every event once, in order', { timeout: 120000 }, async () => {
      const clients = [await arrive(servers[0], 'anna'), await arrive(servers[1], 'ben', { transports: ['polling'] }), await arrive(servers[2], 'anna')];
      let n = 0, recovered = 0, goes = true;
      const writers = servers.map(async (s, i) => {
        for (let k = 0; goes; k++, n++) await comment(s, `${i}.${k}`, PROJECTS[k % 2]);
      });
      for (let round = 0; round < 8; round++) {
        for (const [i, c] of clients.entries()) {
          await sleep(10 + 17 * ((round + i) % 5));
          c.network.cut();
          c.network.to = servers[(round + i) % N].port;
          c.network.mend();
        }
        await Promise.all(clients.map((c) => until(() => c.socket.connected, 'connected again')));
        for (const c of clients) recovered += c.socket.recovered;
      }
      goes = false;
      await Promise.all(writers);
      const last = [await comment(servers[0], 'last'), await comment(servers[1], 'last', PROJECTS[1])];
      for (const c of clients) {
        for (const l of last) await until(() => c.all('comment:created').some((d) => d.comment_id === l.comment_id), 'the last comment');
        assert.equal(c.all('comment:created').length, n + 2, c.name);
        assertDense(c);
      }
      assert.ok(recovered >= 12, `${recovered} recoveries`);
    });

    it('kill -9 of a server in the middle of a load: its clients are back on others, and nothing is lost', { timeout: 120000 }, async () => {
      const clients = [];
      for (let i = 0; i < 6; i++) clients.push(await arrive(servers[i % N], ['anna', 'ben'][i % 2], i % 2 ? { transports: ['polling'] } : {}));
      let n = 0, goes = true;
      const writers = [1, 2].map(async (i) => {
        for (let k = 0; goes; k++, n++) await comment(servers[i], `${i}.${k}`, PROJECTS[k % 2]);
      });
      await until(() => n > 10, 'a load');
      await servers[0].kill();
      const lostOnes = clients.filter((_, i) => i % N === 0);
      const begun = performance.now();
      for (const [i, c] of lostOnes.entries()) c.network.to = servers[1 + (i % 2)].port;
      for (const c of lostOnes) assert.equal(await c.back(), true);
      const took = performance.now() - begun;
      const at = n;
      await until(() => n > at + 10, 'more of it behind their return');
      goes = false;
      await Promise.all(writers);
      const last = [await comment(servers[1], 'last'), await comment(servers[2], 'last', PROJECTS[1])];
      for (const c of clients) {
        for (const l of last) await until(() => c.all('comment:created').some((d) => d.comment_id === l.comment_id), 'the last comment');
        assert.equal(c.all('comment:created').length, n + 2, c.name);
        assertDense(c);
      }
      assert.ok(took < 10000, `back within ${took} ms`);
      await startOne(0);
      const c = await arrive(servers[1], 'anna');
      c.network.cut();
      await c.lost();
      c.network.to = servers[0].port; // a server that is new takes it as well
      c.network.mend();
      assert.equal(await c.back(), true);
    });

    it('without Redis a client loses nothing either', async () => {
      const c = await arrive(servers[0], 'anna');
      await redis.kill();
      c.network.cut();
      await c.lost();
      await comment(servers[1], 'while Redis is away');
      c.network.to = servers[2].port;
      c.network.mend();
      assert.equal(await c.back(), true);
      await comment(servers[0], 'and another');
      await until(() => c.all('comment:created').length === 2, 'both comments');
      assertDense(c);
      await redis.start();
    });
  });

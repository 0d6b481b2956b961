// Any server will do: requests of one session reach whichever server the balancer likes, and
// are answered by its owner.  Over the bus in memory, and over a real Redis.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rmSync } from 'node:fs';
import { clientPool, TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { Polling, RawWs, RS } from './lib/eio.mjs';
import { cliIn, fillStore, serverEnv, startCluster, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { PATIENCE, until } from './lib/queue.mjs';
import { startRedis } from './lib/redis.mjs';
import { startRobin } from './lib/robin.mjs';

const pool = clientPool();
after(() => pool.close());
const P = 'proj-123';
const UNKNOWN = '{"code":1,"message":"Session ID unknown"}';
const portOf = (url) => Number(new URL(url).port);

// A polling session each of whose requests goes to the next server.
class Wandering extends Polling {
  constructor(ports) {
    super(ports[0]);
    this.ports = ports;
    this.turn = 0;
  }

  get port() {
    return this.ports?.[this.turn++ % this.ports.length];
  }

  set port(port) {} // eslint-disable-line
}

describe('three servers on the bus in memory', () => {
  let cluster, ports, robin, shy;
  before(async () => {
    cluster = await startCluster(3);
    ports = cluster.urls.map(portOf);
    robin = await startRobin(ports);
    shy = await startRobin(ports, { shy: true });
  });
  after(async () => {
    pool.close();
    robin?.close();
    shy?.close();
    await cluster?.end();
  });

  let rooms = 0;
  const stats = async (i) => {
    const c = await pool.open(cluster.urls[i], { transports: ['websocket'] }).connected();
    const got = await c.ask('stats');
    c.close();
    return got;
  };

  for (const [version, create] of VERSIONS)
    for (const [how, options] of TRANSPORTS)
      it(`client ${version}, ${how}: many messages both ways, once and in order`, async () => {
        const room = `room-${++rooms}`;
        const N = 200;
        const a = await pool.open(robin.url, options, create).connected();
        const b = await pool.open(shy.url, options, create).connected();
        for (const c of [a, b]) await c.ask('join', room);
        for (let i = 0; i < N; i++) {
          a.emit('say', room, ['a', i]);
          b.emit('say', room, ['b', i]);
          if (i % 40 === 39) await a.ask('stats');
        }
        if (how === 'upgrade') for (const c of [a, b]) await c.upgraded();
        await until(() => [a, b].every((c) => c.all('said').length >= 2 * N), 'all is said');
        for (const c of [a, b]) {
          const said = c.all('said');
          assert.equal(said.length, 2 * N);
          for (const who of ['a', 'b'])
            assert.deepEqual(said.filter((x) => x[0] === who).map((x) => x[1]), Array.from({ length: N }, (_, i) => i));
          c.close();
        }
      });

  it('a sid names its owner, and every request of a session may go elsewhere', async () => {
    const s = await new Wandering(ports).open();
    assert.match(s.sid, /^[A-Za-z0-9_-]{40}$/);
    await s.connect();
    for (let i = 0; i < 30; i++) {
      await s.post(`42${i}["say",null,${i}]${RS}3`);
      assert.match(await s.next('42'), new RegExp(`^42\\["said",${i}\\]`));
      await s.next(`43${i}`);
    }
    assert.equal((await s.post('41')).status, 200);
  });

  it('an upgrade through another server than the owner', async () => {
    const c = await pool.open(shy.url, { transports: ['polling', 'websocket'] }).connected();
    await c.upgraded();
    const room = `room-${++rooms}`;
    await c.ask('join', room);
    await c.ask('tell', room, 'not to me');
    for (let i = 0; i < 500; i++) c.emit('say', room, i);
    await until(() => c.all('said').length >= 500, 'all of it');
    assert.deepEqual(c.all('said'), Array.from({ length: 500 }, (_, i) => i));
    const big = Buffer.alloc(900000, 7);
    c.emit('say', room, big);
    assert.deepEqual(Buffer.from(await c.event('said', (x) => typeof x !== 'number')), big);
    c.close();
    await until(async () => (await Promise.all([0, 1, 2].map(stats))).every((x) => x.carried === 0), 'nothing is carried any more');
  });

  it('what is too large for a session is so at every server; the largest is not', async () => {
    const s = await new Polling(ports[0]).open();
    const { maxPayload } = s.handshake;
    await s.connect();
    s.port = ports[1];
    const text = (n) => `42["say",null,"${'x'.repeat(n - 17)}"]`;
    assert.equal(text(maxPayload).length, maxPayload);
    assert.equal((await s.post(text(maxPayload))).body, 'ok');
    s.port = ports[2];
    assert.equal((await s.next('42')).length, maxPayload - 4); // 42["said","..."]
    const own = await new Polling(ports[0]).open();
    const answers = [];
    for (const [session, port] of [[own, ports[0]], [s, ports[1]]]) {
      session.port = port;
      const res = await session.post('4'.repeat(maxPayload + 1)).catch((e) => ({ status: e.code }));
      answers.push([res.status, res.body, res.headers?.connection]);
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.equal(answers[0][0], 413);
    assert.equal((await s.get()).status, 400);
  });

  it('the end of a held request at its carrier is the end of the session', async () => {
    const s = await new Polling(ports[0]).open();
    await s.connect();
    s.port = ports[1];
    await assert.rejects(s.get({ timeout: 300 }));
    s.port = ports[2];
    await until(async () => (await s.post('3')).body === UNKNOWN, 'the session is over');
  });

  it('unknown sids: of no server, of a server that is not there', async () => {
    for (const sid of ['abcdefghijklmnopqrst', 'x'.repeat(40), 'y'.repeat(39), 'z'.repeat(1000)])
      for (const port of ports) {
        const res = await request(port, 'GET', `/socket.io/?EIO=4&transport=polling&sid=${sid}`);
        assert.deepEqual([res.status, res.body], [400, UNKNOWN]);
      }
  });

  it('a WebSocket that breaks the rules hears the same code through another server', async () => {
    const codes = [];
    for (const port of [ports[0], ports[1]]) {
      const s = await new Polling(ports[0]).open();
      const ws = await new RawWs(port, { sid: s.sid }).open();
      ws.send('2probe');
      assert.equal(await ws.text('3'), '3probe');
      ws.tcp.write(Buffer.from([0xff, 0x80, 0, 0, 0, 0]));
      await ws.closed;
      codes.push(ws.closeCode);
    }
    assert.equal(codes[0], 1002);
    assert.deepEqual(codes[0], codes[1]);
  });

  it('nothing was refused, and nothing is left', async () => {
    const all = await until(async () => {
      const got = await Promise.all([0, 1, 2].map(stats));
      return got.every((s) => s.carried === 0) && got;
    }, 'nothing is carried any more');
    const sum = (key) => all.reduce((n, s) => n + s[key], 0);
    assert.deepEqual([sum('refused'), sum('failed')], [0, 0]);
    assert.equal(sum('out'), sum('in') + sum('passed'));
    assert.ok(sum('passed') > 100, `${sum('passed')} handed over`);
    assert.ok(sum('out') > 200, `${sum('out')} carried`);
  });
});

describe('three servers over Redis', () => {
  let redis, dir, env, servers, robin, shy;
  before(async () => {
    redis = await startRedis();
    dir = tempDir();
    const { JWT_SECRET, SERVICE_API_KEY } = serverEnv(dir);
    env = { JWT_SECRET, SERVICE_API_KEY, REDIS_ENABLED: 'true', REDIS_URL: redis.url };
    await fillStore((args, opts) => cliIn(dir, serverEnv(dir, env), args, opts));
    servers = [];
    for (let i = 0; i < 3; i++) servers.push(await startServer({ dir, fill: 'none', env }));
    await know();
    robin = await startRobin(servers.map((s) => s.port));
    shy = await startRobin(servers.map((s) => s.port), { shy: true });
  });
  after(async () => {
    pool.close();
    robin?.close();
    shy?.close();
    for (const s of servers ?? []) if (s.alive()) await s.end();
    rmSync(dir, { recursive: true, force: true });
    await redis?.stop();
  });
  const verbose = async (s) => (await request(s.port, 'GET', '/ws/status?verbose=1')).json;
  const know = () =>
    until(async () => (await Promise.all(servers.filter((s) => s.alive()).map(verbose))).every((v, _, all) => v.nodes === all.length && v.redis === 'ok'), 'all servers know each other', { timeout: 20000 });
  const metric = async (s, name) =>
    Number((await request(s.port, 'GET', '/metrics')).body.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1]);
  const boq = (s, item) => s.broadcast('boq-update', { project_id: P, item_id: item, updates: { qty: '1' }, user_id: 'anna' });
  const user = async (url, name, options) => pool.user({ url, token: (u) => servers[0].token(u) }, name, { project: P, ...options });

  for (const [how, options] of TRANSPORTS)
    it(`${how}: durable events and cursors, once and in order`, async () => {
      const N = 60;
      const anna = await user(robin.url, 'anna', options);
      const ben = await user(shy.url, 'ben', options);
      for (let i = 0; i < N; i++) assert.equal((await boq(servers[i % 3], `${how}-${i}`)).status, 202);
      for (const c of [anna, ben]) {
        await until(() => c.all('boq:item:updated').length >= N, 'all events');
        assert.deepEqual(c.all('boq:item:updated').map((d) => d.item_id), Array.from({ length: N }, (_, i) => `${how}-${i}`));
      }
      await until(() => {
        anna.emit('cursor:move', { project_id: P, cursor: how });
        return ben.all('cursor:moved').some((d) => d.cursor === how);
      }, 'the cursor comes');
      if (how === 'upgrade') for (const c of [anna, ben]) await c.upgraded();
      for (const c of [anna, ben]) c.close();
      const carried = await Promise.all(servers.map((s) => metric(s, 'skybuild_carried_out_total')));
      assert.ok(how === 'websocket only' || Math.max(...carried) > 0, `carried: ${carried}`);
    });

  it('who can only publish carries no request to a server', async () => {
    const forged = () => metric(servers[0], 'skybuild_redis_dropped_total{why="forged"}'.replace(/[{}]/g, '\\$&'));
    pool.close();
    await until(async () => (await Promise.all(servers.map((s) => metric(s, 'skybuild_carried')))).every((n) => n === 0), 'nothing is under way');
    const before = [await forged(), await metric(servers[0], 'skybuild_carried_in_total')];
    const { node } = await verbose(servers[0]);
    await redis.cli('PUBLISH', `{skybuild}n${node}`, `sk\x01\x0d${'x'.repeat(100)}`);
    await until(async () => (await forged()) === before[0] + 1, 'it is counted');
    assert.equal(await metric(servers[0], 'skybuild_carried_in_total'), before[1]);
  });

  it('a server that was taken for gone and comes back: carried again, by its new name', { timeout: 60000 }, async () => {
    const [lost, ...others] = servers;
    const before = await new Polling(lost.port).open();
    lost.child.kill('SIGSTOP');
    await until(async () => (await Promise.all(others.map(verbose))).every((v) => v.nodes === 2), 'it is taken for gone', { timeout: 30000 });
    before.port = others[0].port;
    assert.equal((await before.get()).body, UNKNOWN);
    lost.child.kill('SIGCONT');
    await know();
    const s = await new Polling(lost.port).open();
    for (const o of others) {
      s.port = o.port;
      assert.equal((await s.post('3')).body, 'ok');
    }
    const t = await new Polling(others[0].port).open();
    t.port = lost.port;
    assert.equal((await t.post('3')).body, 'ok');
  });

  // A session of one server whose GET another one holds, from which the answer will come; and when.
  async function heldElsewhere(owner, visitor) {
    const s = await new Polling(owner.port).open();
    await s.connect({ token: owner.token('ben') });
    await s.next('42["connected"');
    s.port = visitor.port;
    const carried = () => visitor.metric('skybuild_carried_out_total');
    const before = await carried();
    s.answer = s.get({ timeout: 8000 }); // a ping would end it after 25 s, silence after 45
    s.answer.catch(() => {});
    await until(async () => (await carried()) > before, 'the poll is held by its owner');
    return s;
  }
  const gone = async (s, port) => {
    s.port = port;
    await until(async () => (await s.get({ timeout: 2000 }).catch(() => ({}))).body === UNKNOWN, 'the session is over');
  };

  for (const side of ['owner', 'visitor'])
    it(`the ${side}'s listening connection to Redis is lost while a request is held: it ends at once, on both sides`, async () => {
      const [owner, visitor] = servers;
      const s = await heldElsewhere(owner, visitor);
      await redis.cutListener((side === 'owner' ? owner : visitor).child.pid);
      const res = await s.answer.catch((e) => ({ status: e.code }));
      assert.ok([503, 'ECONNRESET'].includes(res.status), `${res.status}`);
      await know();
      await gone(s, owner.port);
      await until(async () => (await Promise.all(servers.map((x) => x.metric('skybuild_carried')))).every((n) => n === 0), 'nothing is carried any more');
    });

  it('Redis dies while requests are held: they end at once, and the clients come back with it', { timeout: 60000 }, async () => {
    const [owner, visitor] = servers;
    const anna = await user(shy.url, 'anna', { transports: ['polling'], reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
    const s = await heldElsewhere(owner, visitor);
    await redis.kill();
    const res = await s.answer.catch((e) => ({ status: e.code }));
    assert.ok([503, 'ECONNRESET'].includes(res.status), `${res.status}`);
    await anna.events.next((e) => e.local && e.name === 'disconnect', { timeout: 5000 });
    // Begun while there is no Redis: refused, or ended as soon as it is clear that there is none.
    const t = await new Polling(owner.port).open();
    t.port = visitor.port;
    const refused = await t.get({ timeout: 6000 }).catch((e) => ({ status: e.code }));
    assert.ok([503, 'ECONNRESET'].includes(refused.status), `${refused.status}`);
    await redis.start();
    await know();
    await gone(s, owner.port);
    await until(() => anna.socket.connected, 'it is back', { timeout: 20000 });
    anna.emit('join_project', { project_id: P });
    await anna.event('joined_project');
    await boq(owner, 'with-redis');
    await anna.event('boq:item:updated', (d) => d.item_id === 'with-redis');
    anna.close();
  });

  it('the owner is killed while a request is held: 400, and the client comes back elsewhere', async () => {
    const anna = await user(shy.url, 'anna', { transports: ['polling'], reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
    const [[sid, port]] = [...shy.owners].slice(-1);
    const owner = servers.find((s) => s.port === port);
    const others = servers.filter((s) => s !== owner);
    // One more session of that owner, held by hand: what exactly is it answered?
    const held = await new Polling(owner.port).open();
    await held.connect({ token: owner.token('ben') });
    held.port = others[0].port;
    const carried = () => owner.metric('skybuild_carried_in_total');
    const before = await carried();
    const answer = held.get({ timeout: 20000 });
    await until(async () => (await carried()) > before, 'the poll is held by its owner');
    owner.child.kill('SIGKILL');
    await owner.exited;
    shy.ports = others.map((s) => s.port);
    assert.ok(sid);
    const res = await answer;
    assert.deepEqual([res.status, res.body], [400, UNKNOWN]);
    held.port = others[1].port;
    assert.equal((await held.get()).body, UNKNOWN);
    await anna.event('connect', () => true, { timeout: 20000 });
    assert.ok(others.some((s) => s.port === [...shy.owners.values()].at(-1)));
    anna.emit('join_project', { project_id: P });
    await anna.event('joined_project');
    await boq(others[0], 'after');
    await anna.event('boq:item:updated', (d) => d.item_id === 'after', { timeout: PATIENCE });
    anna.close();
  });
});

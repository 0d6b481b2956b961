// deploy/nginx.conf with Debian's nginx: what it passes on and how, and three servers behind it of which one
// is killed, Redis is restarted, and all are stopped one after the other, under load.  The guide through it
// is guide.test.mjs with TEST_SITE=nginx.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import { makeCert } from './lib/cert.mjs';
import { clientPool, TRANSPORTS } from './lib/clients.mjs';
import { Polling } from './lib/eio.mjs';
import { tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { CONF, insist, startNginx, startSite } from './lib/nginx.mjs';
import { sleep, until } from './lib/queue.mjs';
import { knowEachOther } from './lib/servers.mjs';

const PROJECTS = ['proj-123', 'proj-456'];
const N = 3;
const dir = tempDir();
const pool = clientPool();
let site, stopLoad;

before(async () => {
  // Short heartbeats: what is lost with Redis of an answer that one server carried for another shows by them.
  site = await startSite(N, { env: { PING_INTERVAL: 3000, PING_TIMEOUT: 2000 } });
});
afterEach(async () => {
  await stopLoad?.();
  pool.close();
});
after(async () => {
  pool.close();
  await site?.stop();
  rmSync(dir, { recursive: true, force: true });
});

// A user in both projects who comes back by itself; .returns: of each time, whether it was recovered.
async function arrive(user, options) {
  const c = pool.open(site.url, {
    name: user,
    auth: { token: site.token(user), projects: PROJECTS },
    reconnection: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    ...options,
  });
  await c.connected();
  for (const id of PROJECTS) await c.event('joined_project', (d) => d.project_id === id);
  c.returns = [];
  c.lost = 0;
  c.socket.on('connect', () => c.returns.push(c.socket.recovered));
  c.socket.on('disconnect', () => c.lost++);
  return c;
}

const arriveAll = () => Promise.all([...TRANSPORTS, ...TRANSPORTS].map(([, options], i) => arrive(['anna', 'ben'][i % 2], options)));
const seqs = (c, project) => c.all('comment:created').filter((d) => d.project_id === project).map((d) => d.seq);

// Comments written through nginx by several at once until finish(), which looks whether every client has
// each, once and in order, and that those who were lost were recovered.
function load(clients) {
  let goes = true, tries = 0;
  const texts = [];
  const write = async (text, project) => {
    const res = await insist(site, 'POST', `/api/projects/${project}/comments`, { as: 'ben', body: { text }, key: `${text}-${Date.now()}` });
    tries += res.tries;
    texts.push(res.json.comment_id);
  };
  const writers = [0, 1, 2].map(async (w) => {
    for (let k = 0; goes; k++) await write(`${w}.${k}`, PROJECTS[k % 2]);
  });
  stopLoad = async () => {
    goes = false;
    await Promise.allSettled(writers);
  };
  return {
    // n more have been taken.
    more(n) {
      const end = texts.length + n;
      return until(() => texts.length >= end, `${n} more comments`, { timeout: 20000 });
    },
    async finish() {
      goes = false;
      await Promise.all(writers);
      for (const project of PROJECTS) await write('last', project);
      const want = [...texts].sort();
      for (const c of clients) {
        await until(() => c.all('comment:created').length >= texts.length, `${c.socket.id}: all ${texts.length} comments`, { timeout: 20000 }).catch((e) => {
          throw new Error(`${e.message}: ${c.all('comment:created').length} of ${c.transport()}, returns ${c.returns}`);
        });
        assert.deepEqual(c.all('comment:created').map((d) => d.comment_id).sort(), want);
        for (const project of PROJECTS) {
          const got = seqs(c, project);
          assert.ok(got.every((seq, i) => i === 0 || seq === got[i - 1] + 1), `${project}: ${got.join(' ')}`);
        }
        assert.ok(c.returns.every((recovered) => recovered === true), `returns: ${c.returns}`);
        // An attempt that is cut before its namespace is connected counts as a loss with the stock client.
        await until(() => c.socket.connected, 'connected');
        assert.ok(c.lost === 0 || c.returns.length > 0, `lost ${c.lost} times, back ${c.returns.length} times`);
      }
      return { events: texts.length, tries };
    },
  };
}

const AWAY_MS = 3100; // fail_timeout, which nginx counts in whole seconds
const has = (text, re) => assert.match(text, re);
const ownSeconds = (name) => Number(readFileSync(CONF, 'utf8').match(new RegExp(`^\\s*${name} (\\d+)s;`, 'm'))[1]);

describe('what the file says', () => {
  it('no affinity, and times that fit the heartbeat and the servers’ own', async () => {
    const text = readFileSync(CONF, 'utf8').replace(/#.*$/gm, '');
    assert.doesNotMatch(text, /ip_hash|sticky|\bhash\b|proxy_next_upstream (?!off)/);
    const { stdout } = await site.cli(['serve', '--help']);
    const setting = (name) => Number(stdout.match(new RegExp(`^ *${name} .*\\[(\\d+)\\]$`, 'm'))[1]);
    const both = setting('PING_INTERVAL') + setting('PING_TIMEOUT');
    for (const name of ['proxy_read_timeout', 'proxy_send_timeout']) assert.ok(ownSeconds(name) * 1000 > both, name);
    assert.ok(ownSeconds('keepalive_timeout') < 60, 'nginx ends idle connections before the servers do (idle_timeout_ms)');
    const body = Number(text.match(/client_max_body_size (\d+)m;/)[1]) * 1024 * 1024;
    assert.ok(body > setting('MAX_PAYLOAD'), 'what is too large is refused by the server');
  });

  it('sids are in no log of accesses', async () => {
    const s = await new Polling(site.port).open();
    await s.connect({ token: site.token('anna') });
    await s.post('3');
    const log = await until(() => /POST \/socket\.io\/ 200/.test(site.nginx.log('access')) && site.nginx.log('access'), 'the line is written');
    assert.ok(!log.includes(s.sid) && !log.includes('sid='));
  });
});

describe('what it passes on', () => {
  it('requests of one session go to all servers, and each is answered', async () => {
    const before = await site.metrics('skybuild_carried_out_total');
    const s = await new Polling(site.port).open();
    await s.connect({ token: site.token('anna') });
    for (let i = 0; i < 12; i++) {
      assert.equal((await s.post(`42${i}["presence:list",{"project_id":"proj-123"}]`)).status, 200);
      await s.next(`43${i}[`);
    }
    const carried = (await site.metrics('skybuild_carried_out_total')).map((n, i) => n - before[i]);
    assert.ok(carried.filter((n) => n > 0).length >= N - 1, `carried: ${carried}`);
  });

  it('the client’s address and nothing that it made up', async () => {
    for (const s of site.servers) s.log.clear();
    // From another address than nginx's own, which is the only one that is trusted.
    const agent = new http.Agent({ localAddress: '127.0.0.9' });
    const s = new Polling(site.port);
    const headers = { 'x-forwarded-for': '6.6.6.6' };
    const open = await request(site.port, 'GET', '/socket.io/?EIO=4&transport=polling', { agent, headers });
    s.sid = JSON.parse(open.body.slice(1)).sid;
    await request(site.port, 'POST', `/socket.io/?EIO=4&transport=polling&sid=${s.sid}`, { agent, headers, body: '40' });
    const line = await until(() => site.lines.find((l) => /Client refused: token_missing/.test(l)), 'the line of the refusal');
    has(line, /from 127\.0\.0\.9$/);
  });

  it('the page’s own origin, and no other', async () => {
    const ask = (origin) => request(site.port, 'GET', '/socket.io/?EIO=4&transport=polling', { headers: { origin } });
    assert.equal((await ask(site.url)).status, 200);
    assert.equal((await ask('http://evil.example')).status, 403);
    assert.equal((await ask(site.url.replace('http:', 'https:'))).status, 403);
  });

  it('the largest message; of what is too large the server’s own refusal', async () => {
    const s = await new Polling(site.port).open();
    const { maxPayload } = s.handshake;
    await s.connect({ token: site.token('anna') });
    assert.equal((await s.post(`42["x","${'x'.repeat(maxPayload - 10)}"]`)).body, 'ok');
    const res = await request(site.port, 'POST', '/api/projects/proj-123/comments', {
      headers: { authorization: `Bearer ${site.token('anna')}` }, json: { text: 'x'.repeat(maxPayload) },
    });
    assert.equal(res.status, 413);
    has(res.headers['content-type'], /^application\/problem\+json/);
  });

  it('no counters of a server by chance', async () => {
    assert.equal((await request(site.port, 'GET', '/metrics')).status, 404);
  });

});

describe('with TLS switched on', () => {
  let nginx, cert;
  before(async () => {
    cert = await makeCert(dir);
    nginx = await startNginx(site.servers.map((s) => s.port), { cert });
  });
  after(() => nginx?.stop());

  for (const [how, options] of TRANSPORTS)
    it(`${how}: the page’s origin is https`, async () => {
      const c = pool.open(nginx.tlsUrl, { auth: { token: site.token('anna') }, ca: cert.pem, extraHeaders: { origin: nginx.tlsUrl }, ...options });
      await c.connected();
      if (how === 'upgrade') await c.upgraded();
      c.emit('join_project', { project_id: PROJECTS[0] });
      await c.event('joined_project');
    });

  it('http is sent to https', async () => {
    const res = await request(nginx.port, 'GET', '/x?y', { headers: { host: 'app.example' } });
    assert.deepEqual([res.status, res.headers.location], [301, 'https://app.example/x?y']);
  });
});

// Servers that do what a test says, behind an nginx of their own.
describe('requests that break, and others', () => {
  const backs = [];
  let nginx, seen, answer;

  before(async () => {
    for (let i = 0; i < N; i++) {
      const back = http.createServer((req, res) => (seen.push(i), answer(req, res, i)));
      await new Promise((resolve) => back.listen(0, '127.0.0.1', resolve));
      backs.push(back);
    }
    nginx = await startNginx(backs.map((b) => b.address().port));
  });
  after(async () => {
    await nginx?.stop();
    for (const b of backs) (b.close(), b.closeAllConnections());
  });

  for (const method of ['GET', 'POST', 'DELETE'])
    it(`${method}: sent once, and never again`, async () => {
      seen = [];
      answer = (req) => req.socket.destroy();
      assert.equal((await request(nginx.port, method, '/socket.io/?sid=x', { body: method === 'POST' ? '3' : undefined })).status, 502);
      assert.equal(seen.length, 1);
    });

  it('what a client does not read waits at the server, which has a limit for it', async () => {
    seen = [];
    await sleep(AWAY_MS); // each has broken a connection
    const size = 40 * 1024 * 1024; // more than the kernel holds
    let sent;
    answer = (req, res) => (sent = res).end(Buffer.alloc(size));
    const got = await new Promise((resolve, reject) => http.get(`${nginx.url}/`, resolve).on('error', reject));
    await sleep(700);
    assert.equal(sent.writableFinished, false, 'nginx does not take it in');
    let n = 0;
    for await (const d of got) n += d.length;
    assert.equal(n, size);
    assert.equal(sent.writableFinished, true);
  });

  it('to a server that is not there: goes to another, with its body', async () => {
    seen = [];
    answer = async (req, res) => {
      let n = 0;
      for await (const d of req) n += d.length;
      res.end(`${req.method} ${n} ${req.url}`);
    };
    const gone = backs[1];
    gone.closeAllConnections();
    await new Promise((resolve) => gone.close(resolve));
    const body = 'x'.repeat(100000); // does not stay in nginx's memory
    for (let i = 0; i < 30; i++) {
      const res = await request(nginx.port, i % 2 ? 'POST' : 'GET', '/socket.io/?sid=y', { body: i % 2 ? body : undefined });
      assert.deepEqual([res.status, res.body], [200, i % 2 ? 'POST 100000 /socket.io/?sid=y' : 'GET 0 /socket.io/?sid=y']);
      if (i === 14) await sleep(AWAY_MS); // so that it is tried again
    }
    assert.equal(seen.length, 30);
    const tried = nginx.log('access').split('\n').filter((l) => / 502 : 200$/.test(l)).length;
    assert.ok(tried >= 2 && tried <= 6, `${tried} requests met it`);
  });
});

describe('under load', () => {
  it('a rolling restart of all, one after the other: nothing is lost, everybody is recovered', { timeout: 120000 }, async () => {
    const clients = await arriveAll();
    const run = load(clients);
    for (let i = 0; i < N; i++) {
      await run.more(5);
      await site.servers[i].end();
      await site.startAgain(i);
    }
    await until(() => clients.every((c) => c.socket.connected), 'all are connected', { timeout: 20000 });
    const { events } = await run.finish();
    assert.ok(events > 20, `${events} events`);
    for (const c of clients) assert.ok(c.returns.length > 0, 'each was on a server that was stopped');
  });

  it('Redis is killed and started again: nothing is lost', { timeout: 90000 }, async () => {
    const clients = await arriveAll();
    const run = load(clients);
    await run.more(10);
    await site.redis.kill();
    await run.more(20);
    await site.redis.start();
    await knowEachOther(site.servers, { timeout: 20000 });
    const { events } = await run.finish();
    assert.ok(events > 20, `${events} events`);
  });

  it('kill -9 of a server: its clients come back recovered on others, and nothing is lost', { timeout: 90000 }, async () => {
    const clients = await arriveAll();
    const run = load(clients);
    await run.more(10);
    const counts = await site.metrics('skybuild_sessions{transport="websocket"}');
    const at = counts.indexOf(Math.max(...counts));
    // Who is there alone and does not come back.
    const cleo = await pool.user(site.servers[at], 'cleo', { project: PROJECTS[0] });
    for (const c of clients) await c.event('user:joined', (d) => d.user_id === 'cleo');
    const begun = performance.now();
    await site.servers[at].kill();
    cleo.close();
    await until(() => clients.some((c) => c.lost > 0), 'somebody is lost');
    await until(() => clients.every((c) => c.socket.connected), 'all are connected', { timeout: 20000 });
    const took = Math.round(performance.now() - begun);
    await run.more(5);
    const { events } = await run.finish();
    assert.ok(events > 20, `${events} events`);
    assert.ok(clients.filter((c) => c.returns.length).length >= counts[at], `who had a WebSocket there (${counts}) came back`);
    const here = async (c) => (await c.ask('presence:list', { project_id: PROJECTS[0] })).users.map((u) => u.user_id).sort();
    for (const c of clients) await until(async () => String(await here(c)) === 'anna,ben', 'no ghost', { timeout: 20000 });
    // Who was away when it was told sees it in the list alone.
    for (const c of clients.filter((c) => c.lost === 0)) await c.event('user:left', (d) => d.user_id === 'cleo');
    for (const c of clients)
      assert.deepEqual(c.all('user:left').map((d) => d.user_id).filter((u, i) => u !== 'cleo' || i > 0 || c.lost === 0), [], 'nobody else has left, and nobody twice');
    assert.ok(took < 15000, `back within ${took} ms`);
  });
});

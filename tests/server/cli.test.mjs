// The command line: usage, tokens, accounts, projects, and what stops a start.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { cliIn, fillStore, PASSWORD, Server, serverEnv, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { until } from './lib/queue.mjs';

const dirs = [];
const freshDir = () => (dirs.push(tempDir()), dirs.at(-1));
const pool = clientPool();
let dir, env;
const cli = (args, opts) => cliIn(dir, env, args, { fails: true, ...opts });

before(() => {
  dir = freshDir();
  env = serverEnv(dir);
});
afterEach(() => pool.close());
after(() => dirs.forEach((d) => rmSync(d, { recursive: true, force: true })));

describe('usage', () => {
  for (const args of [['--help'], ['serve', '--help'], ['token', '--help'], ['user', '--help'], ['project', '--help'], ['demo', '--help'], ['status', '--help'], ['healthcheck', '--help'], ['emit', '--help'], ['who', '--help'], ['kick', '--help'], ['doctor', '--help'], ['trace', '--help']])
    it(`${args.join(' ')}: 0, on stdout`, async () => {
      const got = await cli(args);
      assert.equal(got.code, 0, got.stderr);
      assert.match(got.stdout, /usage/i);
    });

  for (const args of [[], ['nonsense'], ['token'], ['token', 'anna', '--ttl'], ['token', 'anna', '--ttl', 'x'], ['token', 'anna', '--claim', 'novalue'], ['user'], ['user', 'add'], ['user', 'fly'], ['project', 'share', 'p'], ['project', 'share', 'p', 'u', 'king'], ['serve', '--surprise'], ['status', '--surprise'], ['status', '--url', 'nonsense'],
    ['emit'], ['emit', 'x'], ['emit', 'x', '--room', 'r'], ['emit', 'x', '--data', '1'], ['emit', '--room', 'r', '--data', '1'],
    ['emit', 'x', 'y', '--room', 'r', '--data', '1'], ['emit', 'x', '--room', 'r', '--data', '1', '--volatile=yes'],
    ['emit', 'x', '--room', 'r', '--data', '1', '--url', 'ftp://h'],
    ['who'], ['who', ''], ['who', 'a', 'b'], ['who', 'a', '--url'], ['kick'], ['kick', 'a', 'b'], ['kick', 'a', '--surprise'],
    ['trace'], ['trace', '--user', 'a', '--sid', 'b'], ['trace', 'a'], ['trace', '--user', 'a', '--count', '0'], ['trace', '--user', 'a', '--seconds', 'x'],
    ['doctor'], ['doctor', 'nonsense'], ['doctor', 'ftp://h'], ['doctor', 'http://h', 'http://i'], ['doctor', 'http://h"'], ['doctor', 'http://h', '--wait', '-1'],
    ['doctor', 'http://h', '--wait', 'x'], ['doctor', 'http://h', '--origin', 'app'], ['doctor', 'http://h', '--origin', 'http://a\r\nX: y'],
    ['doctor', 'http://h', '--path', '/a?b'], ['doctor', 'http://h', '--path', ''], ['doctor', 'http://h', '--token', ''],
    ['doctor', 'http://h', '--token', 'a"b'], ['doctor', 'https://h', '--ca', 'f', '--insecure']])
    it(`${args.join(' ') || '(nothing)'}: 2, on stderr`, async () => {
      const got = await cli(args);
      assert.equal(got.code, 2, got.stdout + got.stderr);
      assert.notEqual(got.stderr, '');
    });
});

describe('a configuration that is refused, in one line that names it', () => {
  for (const [name, value] of [
    ['PORT', 'abc'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['HOST', 'not a host'],
    ['WORKERS', 'many'],
    ['SKYBUILD_ENV', 'staging'],
    ['LOG_LEVEL', 'loud'],
    ['LOG_FORMAT', 'xml'],
    ['PING_INTERVAL', '0'],
    ['PING_TIMEOUT', '1.5'],
    ['MAX_PAYLOAD', '-5'],
    ['JWT_ALGORITHMS', 'none'],
    ['JWT_ALGORITHMS', 'HS256,none'],
    ['JWT_ALGORITHMS', 'RS256'],
    ['JWT_PUBLIC_KEY', '/nowhere/key.pem'],
    ['DATABASE_URL', 'mysql://x'],
    ['DATABASE_URL', 'sqlite://nothing'],
    ['REDIS_ENABLED', 'perhaps'],
    ['REDIS_URL', 'http://x'],
    ['CORS_ALLOWED_ORIGINS', 'example.com'],
    ['CORS_ALLOWED_ORIGINS', 'https://example.com/path'],
    ['JWT_SECRET_FILE', '/nowhere/secret'],
    ['RATE_LIMIT_EVENTS', 'x'],
  ])
    it(`${name}=${value}`, async () => {
      const got = await cli(['serve', '--check'], { env: { [name]: value } });
      assert.equal(got.code, 1, `${got.stdout}${got.stderr}`);
      const lines = got.stderr.trim().split('\n').filter((l) => !/\bwarning:/i.test(l));
      assert.equal(lines.length, 1, got.stderr);
      assert.match(lines[0], new RegExp(name.replace(/_FILE$/, '')));
      if (!/SECRET|DATABASE|REDIS_URL/.test(name)) assert.ok(lines[0].includes(value), lines[0]);
    });

  it('a secret is never shown', async () => {
    const secret = 'hunter2-hunter2';
    const got = await cli(['serve', '--check'], { env: { SKYBUILD_ENV: 'production', JWT_SECRET: secret } });
    assert.equal(got.code, 1);
    assert.match(got.stderr, /JWT_SECRET/);
    assert.ok(!(got.stderr + got.stdout).includes(secret));
  });

  it('production refuses what development only warns of', async () => {
    assert.equal((await cli(['serve', '--check'], { env: { SKYBUILD_ENV: 'production' } })).code, 0);
    for (const bad of [{ JWT_SECRET: '' }, { JWT_SECRET: 'short' }, { CORS_ALLOWED_ORIGINS: '*' }]) {
      const got = await cli(['serve', '--check'], { env: { SKYBUILD_ENV: 'production', ...bad } });
      assert.equal(got.code, 1, JSON.stringify(bad));
      assert.match(got.stderr, new RegExp(Object.keys(bad)[0]));
      assert.equal((await cli(['serve', '--check'], { env: bad })).code, 0, 'development');
    }
  });

  it('a short secret: a warning in development', async () => {
    const got = await cli(['serve', '--check'], { env: { JWT_SECRET: 'short' } });
    assert.equal(got.code, 0);
    assert.match(got.stderr + got.stdout, /warning.*JWT_SECRET/is);
  });

  it('a database that cannot be opened stops the start', async () => {
    const got = await cli(['serve'], { env: { DATABASE_URL: 'sqlite:////nowhere/at/all/x.db' } });
    assert.equal(got.code, 1, got.stdout + got.stderr);
    assert.match(got.stderr, /nowhere/);
  });

  it('serve does not start either, and a taken port is told', async () => {
    const got = await cli(['serve'], { env: { LOG_LEVEL: 'loud' } });
    assert.equal(got.code, 1);
    const server = await startServer({ fill: 'none' });
    try {
      const taken = await cli(['serve'], { env: { PORT: String(server.port) } });
      assert.equal(taken.code, 1);
      assert.match(taken.stderr, new RegExp(String(server.port)));
    } finally {
      await server.stop();
    }
  });
});

describe('.env and *_FILE', () => {
  it('a .env file is read; the environment wins', async () => {
    const own = freshDir();
    writeFileSync(path.join(own, '.env'), '# a comment\nLOG_LEVEL=loud\nPORT="0"\n');
    const base = { ...env, PORT: undefined };
    assert.match((await cliIn(own, base, ['serve', '--check'], { fails: true })).stderr, /LOG_LEVEL/);
    assert.equal((await cliIn(own, { ...base, LOG_LEVEL: 'DEBUG' }, ['serve', '--check'], { fails: true })).code, 0);
  });

  it('JWT_SECRET_FILE', async () => {
    const own = freshDir();
    const secret = randomBytes(32).toString('hex');
    writeFileSync(path.join(own, 'secret'), `${secret}\n`);
    const got = await cliIn(own, { ...env, JWT_SECRET: undefined, JWT_SECRET_FILE: path.join(own, 'secret') }, ['token', 'anna']);
    const [head, body, sign] = got.stdout.trim().split('.');
    assert.equal(sign, createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url'));
  });

  it('no secret in development: one is made, mode 0600, and the log says so', async () => {
    const own = freshDir();
    const server = await startServer({ dir: own, env: { JWT_SECRET: undefined } });
    try {
      assert.ok(server.lines.some((l) => /secret/i.test(l)), server.lines.join('\n'));
      const { stdout } = await server.cli(['token', 'anna']);
      const c = pool.open(server.url, { auth: { token: stdout.trim() }, transports: ['websocket'] });
      await c.event('connected');
      const { execFileSync } = await import('node:child_process');
      const files = execFileSync('find', [own, '-type', 'f', '-not', '-name', '*.db*']).toString().trim().split('\n');
      const secret = files.find((f) => /secret/i.test(f));
      assert.ok(secret, files.join(' '));
      assert.equal(statSync(secret).mode & 0o777, 0o600);
    } finally {
      pool.close();
      await server.stop();
    }
  });
});

describe('token', () => {
  const claims = (stdout) => JSON.parse(Buffer.from(stdout.trim().split('.')[1], 'base64url'));

  it('is one line, signed with the secret', async () => {
    const got = await cli(['token', 'anna']);
    assert.equal(got.code, 0, got.stderr);
    assert.match(got.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const [head, body, sign] = got.stdout.trim().split('.');
    assert.equal(sign, createHmac('sha256', env.JWT_SECRET).update(`${head}.${body}`).digest('base64url'));
    assert.equal(claims(got.stdout).sub, 'anna');
  });

  it('--ttl and --claim', async () => {
    const got = await cli(['token', 'anna', '--ttl', '120', '--claim', 'name=Anna Berg', '--claim', 'team=north']);
    const c = claims(got.stdout);
    assert.equal(c.exp - c.iat, 120);
    assert.equal(c.name, 'Anna Berg');
    assert.equal(c.team, 'north');
  });
});

describe('accounts and projects', () => {
  let own, ownEnv;
  const mine = (args, opts) => cliIn(own, ownEnv, args, { fails: true, ...opts });
  before(async () => {
    own = freshDir();
    ownEnv = serverEnv(own);
    await fillStore((args, opts) => cliIn(own, ownEnv, args, opts));
  });

  it('are listed', async () => {
    const users = await mine(['user', 'list']);
    assert.equal(users.code, 0);
    assert.match(users.stdout, /anna.*Anna/);
    const projects = await mine(['project', 'list']);
    assert.match(projects.stdout, /proj-123.*Riverside Tower/);
  });

  for (const args of [
    ['user', 'add', 'anna', '--name', 'Anna'],
    ['project', 'add', 'proj-123', '--name', 'X', '--owner', 'anna'],
    ['project', 'add', 'proj-new', '--name', 'X', '--owner', 'nobody'],
    ['project', 'share', 'proj-none', 'anna', 'editor'],
    ['project', 'share', 'proj-123', 'nobody', 'editor'],
    ['project', 'unshare', 'proj-123', 'nobody'],
    ['project', 'unshare', 'proj-123', 'anna'],
    ['user', 'add', 'bad id\n', '--name', 'X'],
  ])
    it(`${JSON.stringify(args.join(' '))}: refused with 1 and a sentence`, async () => {
      const got = await mine(args);
      assert.ok([1, 2].includes(got.code), `${got.code} ${got.stdout}`);
      assert.match(got.stderr.trim(), /\w+ \w+/);
    });

  it('a password comes by stdin and is not in the store as it is', async () => {
    const { readFileSync, readdirSync } = await import('node:fs');
    for (const file of readdirSync(own)) assert.ok(!readFileSync(path.join(own, file)).includes(PASSWORD('anna')), file);
  });
});

describe('demo', () => {
  it('fills the store with something to see, and may be repeated', async () => {
    const server = await startServer({ fill: 'demo' });
    try {
      await server.cli(['demo']);
      const boq = await server.api('GET', '/api/projects/proj-riverside/boq?limit=1000', { as: 'anna' });
      assert.equal(boq.status, 200, boq.body);
      assert.ok(boq.json.items.length >= 150 && boq.json.items.length <= 260, `${boq.json.items.length} items`);
      for (const user of ['anna', 'ben']) {
        const login = await request(server.port, 'POST', '/api/auth/login', { json: { username: user, password: `demo-${user}` } });
        assert.equal(login.status, 200, login.body);
      }
      const page = await request(server.port, 'GET', '/');
      assert.equal(page.status, 200);
      assert.match(page.headers['content-type'], /^text\/html/);
    } finally {
      await server.stop();
    }
  });

  it('in production neither the page nor the demo accounts are offered', async () => {
    const refused = await cli(['demo'], { env: { SKYBUILD_ENV: 'production' } });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /SKYBUILD_ENV/);
    const server = await startServer({ env: { SKYBUILD_ENV: 'production', WEB_ROOT: undefined } });
    try {
      assert.equal((await request(server.port, 'GET', '/')).status, 404);
    } finally {
      await server.stop();
    }
  });

  it('--users and --projects, in seconds', async () => {
    const own = freshDir();
    const ownEnv = serverEnv(own);
    const begun = Date.now();
    await cliIn(own, ownEnv, ['demo', '--users', '1000', '--projects', '10']);
    assert.ok(Date.now() - begun < 20000);
    const server = await new Server(own, ownEnv).listening();
    try {
      const c = await pool.user(server, 'user-999', { project: 'proj-9' });
      assert.equal(c.joined.project_id, 'proj-9');
    } finally {
      pool.close();
      await server.stop();
    }
  });
});

describe('status and healthcheck', () => {
  it('of a running server: text, --json, exit 0', async () => {
    const server = await startServer();
    try {
      await pool.user(server, 'anna', { project: 'proj-123' });
      const text = await server.cli(['status', '--url', server.url]);
      assert.match(text.stdout, /1/);
      const json = JSON.parse((await server.cli(['status', '--url', server.url, '--json'])).stdout);
      assert.match(JSON.stringify(json), /"active_connections":1/);
      assert.equal((await server.cli(['healthcheck', '--url', server.url])).code, 0);
    } finally {
      pool.close();
      await server.stop();
    }
  });

  it('of none: exit 1', async () => {
    for (const command of ['status', 'healthcheck']) {
      const got = await cli([command, '--url', 'http://127.0.0.1:1']);
      assert.equal(got.code, 1);
      assert.notEqual(got.stderr, '');
    }
  });
});

describe('emit, who and kick', () => {
  let server;
  const ask = (args, opts) => server.cli([...args, '--url', server.url], { fails: true, ...opts });
  const EMIT = ['emit', 'site:weather', '--room', 'project:proj-123', '--data'];
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());

  // A server that answers what it is told, and keeps what it was asked.
  async function standIn(status, body, headers = {}) {
    const asked = [];
    const it = http.createServer((req, res) => {
      asked.push(req);
      res.writeHead(status, headers).end(body);
    });
    await new Promise((resolve) => it.listen(0, '127.0.0.1', resolve));
    return { asked, url: `http://127.0.0.1:${it.address().port}`, close: () => (it.closeAllConnections(), it.close()) };
  }

  it('emit: members get it, the answer says how many', async () => {
    const [anna, ben] = [await pool.user(server, 'anna', { project: 'proj-123' }), await pool.user(server, 'ben', { project: 'proj-123' })];
    const got = await ask([...EMIT, '{"wind":12.50,"text":"\u00fc \\u2028"}']);
    assert.equal(got.code, 0, got.stderr);
    assert.match(got.stdout, /^sent site:weather to project:proj-123: 2 recipients \(id proj-123:\d+\)\n$/);
    const seq = Number(got.stdout.match(/proj-123:(\d+)/)[1]); // a durable event has its number
    for (const c of [anna, ben]) assert.deepEqual(await c.event('site:weather'), { wind: 12.5, text: '\u00fc \u2028', seq });
  });

  it('emit: --except, --volatile, --json, a user’s room', async () => {
    const [anna, ben] = [await pool.user(server, 'anna', { project: 'proj-123' }), await pool.user(server, 'ben', { project: 'proj-123' })];
    const got = await ask([...EMIT, '[1,"two",null]', '--except', ben.socket.id, '--volatile', '--json']);
    assert.equal(got.code, 0, got.stderr);
    const json = JSON.parse(got.stdout);
    assert.equal(json.recipients, 1);
    assert.doesNotMatch(json.id, /^proj-123:/, 'a volatile event is not stored');
    assert.deepEqual(await anna.event('site:weather'), [1, 'two', null]);
    const mine = await ask(['emit', 'only:ben', '--room=user:ben', '--data="text"']);
    assert.match(mine.stdout, /: 1 recipient \(/);
    assert.equal(await ben.event('only:ben'), 'text');
    assert.deepEqual(ben.all('site:weather'), []);
  });

  for (const data of ['text', '', '{"a":1', '{"a":1} x', "{'a':1}", 'NaN', '[1,]', '"\\ud8"', '['.repeat(2000) + ']'.repeat(2000)])
    it(`emit: --data ${data.slice(0, 12)} is refused before anything is sent`, async () => {
      const there = await standIn(202, '{"id":"x","recipients":0}');
      try {
        const got = await server.cli([...EMIT, data, '--url', there.url], { fails: true });
        assert.equal(got.code, 2, got.stdout);
        assert.match(got.stderr, /--data .*no JSON/);
        assert.equal(there.asked.length, 0);
      } finally {
        there.close();
      }
    });

  it('emit: what the server refuses is told in its words', async () => {
    for (const [args, why] of [
      [['emit', 'disconnect', '--room', 'r', '--data', '1'], /protocol itself.*\(event_reserved\)/],
      [['emit', 'x', '--room', '', '--data', '1'], /room.*\(invalid\)/],
      [['emit', 'x', '--room', 'r'.repeat(300), '--data', '1'], /room.*\(invalid\)/],
      [['emit', 'x', '--room', 'r', '--data', '1', '--except', 's'.repeat(65)], /except_sid.*\(invalid\)/],
    ]) {
      const got = await ask(args);
      assert.equal(got.code, 1, got.stdout + got.stderr);
      assert.match(got.stderr, why);
      assert.equal(got.stderr.trim().split('\n').length, 1);
    }
  });

  it('who: a line each, --json, nobody', async () => {
    const nobody = await ask(['who', 'proj-456']);
    assert.deepEqual([nobody.code, nobody.stdout], [0, '']);
    assert.match(nobody.stderr, /nobody is in proj-456/);
    await pool.user(server, 'anna', { project: 'proj-456' });
    await pool.user(server, 'anna', { project: 'proj-456' });
    await pool.user(server, 'ben', { project: 'proj-456' });
    const got = await ask(['who', 'proj-456']);
    assert.equal(got.code, 0, got.stderr);
    const rows = got.stdout.trim().split('\n').map((l) => l.split('\t')).sort();
    assert.deepEqual(rows.map((r) => r.slice(0, 3)), [['anna', 'Anna', '2'], ['ben', 'Ben', '1']]);
    assert.match(rows[0][3], /^\d{4}-\d\d-\d\dT/);
    const json = JSON.parse((await ask(['who', 'proj-456', '--json'])).stdout);
    assert.deepEqual(json.users.map((u) => u.user_id).sort(), ['anna', 'ben']);
  });

  it('kick: every connection of the user, nobody else’s', async () => {
    const [one, two, ben] = [await pool.user(server, 'anna', { project: 'proj-123' }), await pool.user(server, 'anna'), await pool.user(server, 'ben')];
    const got = await ask(['kick', 'anna']);
    assert.deepEqual([got.code, got.stdout], [0, 'closed 2 connections of anna\n'], got.stderr);
    for (const c of [one, two]) assert.equal(await c.event('disconnect'), 'io server disconnect');
    assert.ok(ben.socket.connected);
    assert.equal(JSON.parse((await ask(['kick', 'anna', '--json'])).stdout).disconnected, 0);
  });

  it('a word never leaves its place in the address', async () => {
    const there = await standIn(404, '{"code":"not_found","detail":"x"}');
    try {
      for (const word of ['..', '../users/anna', 'a/b', 'a?b', 'a b', '\u00fc', '%2e', 'a#b']) {
        for (const command of ['who', 'kick']) assert.equal((await server.cli([command, word, '--url', there.url], { fails: true })).code, 1);
        const [who, kick] = there.asked.splice(0);
        assert.deepEqual([who.method, kick.method], ['GET', 'POST']);
        for (const req of [who, kick]) assert.equal(decodeURIComponent(req.url.split('/')[3]), word, req.url);
        assert.equal(who.url.split('/').length, 5);
        assert.equal((await ask(['who', word])).code, 1);
      }
    } finally {
      there.close();
    }
  });

  it('the key: none, wrong, not one that a header can hold, and a server without; it is never shown', async () => {
    const none = await ask(['who', 'proj-123'], { env: { SERVICE_API_KEY: undefined } });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no service key: set SERVICE_API_KEY/);
    for (const [key, why] of [['not-the-key-of-it', /does not accept this service key.*SERVICE_API_KEY/], ['two\r\nX-Lines: 1', /SERVICE_API_KEY holds/]]) {
      const got = await ask(['who', 'proj-123'], { env: { SERVICE_API_KEY: key } });
      assert.equal(got.code, 1);
      assert.match(got.stderr, why);
      assert.ok(!(got.stdout + got.stderr).includes(key));
    }
    const bare = await startServer({ fill: 'none', env: { SERVICE_API_KEY: undefined } });
    try {
      const got = await server.cli(['who', 'proj-123', '--url', bare.url], { fails: true });
      assert.equal(got.code, 1);
      assert.match(got.stderr, /the server has no SERVICE_API_KEY/);
    } finally {
      await bare.stop();
    }
  });

  it('key and address from .env, a key file, SKYBUILD_URL; --url wins', async () => {
    const own = freshDir();
    const base = { ...server.env, SERVICE_API_KEY: undefined };
    writeFileSync(path.join(own, '.env'), `SERVICE_API_KEY=${server.env.SERVICE_API_KEY}\nSKYBUILD_URL=${server.url}/\n`);
    assert.equal((await cliIn(own, base, ['who', 'proj-123'], { fails: true })).code, 0);
    const away = await cliIn(own, base, ['who', 'proj-123', '--url', 'http://127.0.0.1:1'], { fails: true });
    assert.match(away.stderr, /http:\/\/127\.0\.0\.1:1 does not answer: /);
    writeFileSync(path.join(own, 'key'), `${server.env.SERVICE_API_KEY}\n`);
    writeFileSync(path.join(own, '.env'), '');
    const file = { ...base, SERVICE_API_KEY_FILE: path.join(own, 'key'), PORT: String(server.port) };
    assert.equal((await cliIn(own, file, ['who', 'proj-123'], { fails: true })).code, 0, 'HOST and PORT');
    const nowhere = await cliIn(own, { ...file, PORT: '0' }, ['who', 'proj-123'], { fails: true });
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /PORT=0.*--url/);
  });

  it('no server there, or one that is none of ours: exit 1 and one line', async () => {
    for (const args of [[...EMIT, '1'], ['who', 'p'], ['kick', 'u']]) {
      const got = await server.cli([...args, '--url', 'http://127.0.0.1:1'], { fails: true });
      assert.deepEqual([got.code, got.stdout], [1, '']);
      assert.match(got.stderr, /^skybuild: http:\/\/127\.0\.0\.1:1 does not answer: .*\n$/);
    }
    const elsewhere = await standIn(202, '{"id":"x","recipients":0,"users":[],"disconnected":0}');
    try {
      for (const [status, body, headers] of [
        [200, '<html>', {}],
        [200, '{"hello":1}', {}],
        [502, '<html>502</html>', {}],
        [307, '', { location: `${elsewhere.url}/api/broadcast/emit` }],
      ]) {
        const there = await standIn(status, body, headers);
        for (const args of [[...EMIT, '1'], ['who', 'p'], ['kick', 'u']]) {
          const got = await server.cli([...args, '--url', there.url], { fails: true });
          assert.deepEqual([got.code, got.stdout], [1, ''], got.stderr);
          assert.match(got.stderr, new RegExp(`answers ${status}.* skybuild server`));
        }
        there.close();
      }
      assert.equal(elsewhere.asked.length, 0, 'a redirect is not followed: the key would go with it');
    } finally {
      elsewhere.close();
    }
  });

  it('an answer with missing nodes is printed, and fails', async () => {
    const users = Array.from({ length: 3000 }, (_, i) => ({ user_id: `user-${i}`, name: 'N\u001b[31m', connections: 1, joined_at: 't' }));
    const there = await standIn(200, JSON.stringify({ users, disconnected: 1, missing_nodes: ['node-b'] }));
    try {
      const who = await server.cli(['who', 'p', '--url', there.url], { fails: true });
      assert.equal(who.code, 1);
      assert.equal(who.stdout.trim().split('\n').length, 3000);
      assert.ok(!who.stdout.includes('\u001b'), 'no control bytes to a terminal');
      const kick = await server.cli(['kick', 'u', '--url', there.url], { fails: true });
      assert.equal(kick.code, 1);
      for (const got of [who, kick]) assert.match(got.stderr, /node-b.* did not answer in time/);
    } finally {
      there.close();
    }
  });
});

describe('start and end', () => {
  it('listens within 100 ms of its start (release build)', async (t) => {
    if (process.env.SKYBUILD_SANITIZED) return t.skip('measured on the release build');
    const times = [];
    for (let i = 0; i < 5; i++) {
      const own = freshDir();
      const begun = process.hrtime.bigint();
      const server = await new Server(own, serverEnv(own)).listening();
      times.push(Number(process.hrtime.bigint() - begun) / 1e6);
      await server.stop();
    }
    assert.ok(Math.min(...times) < 100, `${times.map(Math.round)} ms`);
  });

  for (const signal of ['SIGTERM', 'SIGINT'])
    it(`${signal}: clients are closed, exit 0, no file left but the store`, async () => {
      const server = await startServer();
      const c = await pool.user(server, 'anna', { project: 'proj-123' });
      await server.end(signal);
      assert.match(await c.event('disconnect'), /^transport (close|error)$/);
      assert.ok(!existsSync(path.join(server.dir, 'skybuild.db-wal')), 'the write-ahead log was folded in');
      await server.stop();
    });

  it('LOG_FORMAT=json: each line is an object, no token in any', async () => {
    const server = await startServer({ env: { LOG_FORMAT: 'json', LOG_LEVEL: 'debug' } });
    const token = server.token('anna');
    const c = pool.open(server.url, { auth: { token }, transports: ['websocket'] });
    await c.event('connected');
    await until(() => server.logged(/Client connected/).length, 'the line of the connection');
    await server.end();
    for (const line of server.lines.filter((l) => !/Sanitizer/.test(l))) assert.equal(typeof JSON.parse(line).msg, 'string', line);
    assert.ok(!server.lines.some((l) => l.includes(token.split('.')[2])), 'no token in the log');
    await server.stop();
  });
});

// https and wss: stock clients over each transport, certificates read again while they are
// connected, large messages both ways, ends and abuse.  Certificates are made at run time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, afterEach, before, describe, it } from 'node:test';
import { makeCert } from './lib/cert.mjs';
import { Client, clientPool, TRANSPORTS, VERSIONS } from './lib/clients.mjs';
import { frame, RawWs, tcpTalk } from './lib/eio.mjs';
import { cliIn, serverEnv, SANITIZED, startEcho, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { PATIENCE, Queue, sleep, until, within } from './lib/queue.mjs';

const PROJECT = 'proj-123';
const dir = tempDir();
const pool = clientPool();
let first, second, server, ca;
const live = { cert: path.join(dir, 'live.pem'), key: path.join(dir, 'live-key.pem') }; // what the server reads
const use = ({ cert, key }) => (copyFileSync(cert, live.cert), copyFileSync(key, live.key));

before(async () => {
  first = await makeCert(dir, 'first');
  second = await makeCert(dir, 'second');
  use(first);
  ca = [first.pem, second.pem];
  server = await startServer({ env: { TLS_CERT: live.cert, TLS_KEY: live.key, MAX_CONNECTIONS_PER_USER: 0, RATE_LIMIT_EVENTS: 0 } });
});
afterEach(() => pool.close());
after(async () => {
  pool.close();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const get = (target, opts = {}) => request(server.port, 'GET', target, { ca, ...opts });
const user = (name, opts = {}) => pool.user(server, name, { ca, ...opts });
const metric = (name) => server.metric(`skybuild_${name}`, { ca });

// A TLS connection of our own making, past its handshake.
async function dial(opts = {}) {
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca, ...opts });
  socket.on('error', (e) => (socket.fault = e));
  await within(
    new Promise((resolve, reject) => (socket.once('secureConnect', resolve), socket.once('close', () => reject(socket.fault ?? new Error('closed'))))),
    PATIENCE,
    'TLS handshake',
  );
  return socket;
}

const subject = async () => {
  const socket = await dial();
  const name = socket.getPeerCertificate().subject.CN;
  socket.destroy();
  return name;
};

// The server lives, and somebody who was there before goes on unharmed.
function hostile(name, fn) {
  it(name, async (t) => {
    const bystander = await user('ben', { project: PROJECT });
    const sid = bystander.socket.id;
    await fn(t);
    assert.ok(server.alive(), server.lines.slice(-20).join('\n'));
    await bystander.settle();
    assert.equal(bystander.socket.id, sid);
  });
}

describe('stock clients', () => {
  it('the log says https', () => assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/));

  for (const [version, create] of VERSIONS)
    for (const [how, options] of TRANSPORTS)
      it(`${version}, ${how}`, async () => {
        const anna = await user('anna', { project: PROJECT, create, ...options });
        const ben = await user('ben', { project: PROJECT, create, ...options });
        if (how === 'upgrade') await ben.upgraded();
        assert.equal(ben.transport(), how === 'polling only' ? 'polling' : 'websocket');
        for (let i = 0; i < 5; i++) {
          anna.emit('cursor:move', { project_id: PROJECT, cursor: { i } });
          assert.equal((await ben.event('cursor:moved', (d) => d.cursor.i === i)).user_id, 'anna');
        }
        assert.equal((await ben.ask('presence:list', { project_id: PROJECT })).ok, true);
        ben.close();
        await anna.event('user:left', (d) => d.user_id === 'ben');
      });

  it('TLS 1.2 and 1.3, HTTP/1.1', async () => {
    for (const v of ['TLSv1.2', 'TLSv1.3']) {
      const socket = await dial({ minVersion: v, maxVersion: v, ALPNProtocols: ['h2', 'http/1.1'] });
      assert.equal(socket.getProtocol(), v);
      assert.equal(socket.alpnProtocol, 'http/1.1');
      socket.destroy();
    }
  });

  it('REST, and the page’s files', async () => {
    const auth = { authorization: `Bearer ${server.token('anna')}` };
    const list = await get('/api/projects', { headers: auth });
    assert.equal(list.status, 200);
    assert.equal((await get('/socket.io/socket.io.min.js')).status, 200);
  });

  it('the server’s own origin is https; http is a foreign one', async () => {
    const hello = (origin) => get('/socket.io/?EIO=4&transport=polling', { headers: { origin } });
    assert.equal((await hello(`https://127.0.0.1:${server.port}`)).status, 200);
    assert.equal((await hello(`http://127.0.0.1:${server.port}`)).status, 403);
    assert.equal((await hello('https://127.0.0.1')).status, 403);
  });

  it('frames in the segment of the handshake are read', async () => {
    const w = new RawWs(server.port, { socket: await dial(), tail: frame(`40${JSON.stringify({ token: server.token('anna') })}`) });
    await w.handshakeDone();
    await w.text('40{"sid"');
    w.send(Buffer.from([3, 232]), { opcode: 8 });
    assert.equal(await w.end(), 1000);
  });
});

describe('the command line', () => {
  const env = () => serverEnv(dir, { TLS_CERT: live.cert, TLS_KEY: live.key, PORT: String(server.port) });
  const cli = (args, more) => cliIn(dir, { ...env(), ...more }, args, { fails: true });

  it('status and healthcheck of the own server', async () => {
    assert.equal((await cli(['healthcheck'])).code, 0);
    const got = await cli(['status']);
    assert.equal(got.code, 0, got.stderr);
    assert.match(got.stdout, new RegExp(`https://127\\.0\\.0\\.1:${server.port}`));
    assert.equal((await cli(['status', '--ca', live.cert])).code, 0);
  });

  it('a URL is verified unless told otherwise', async () => {
    const bare = { TLS_CERT: undefined, TLS_KEY: undefined };
    const got = await cli(['healthcheck', '--url', server.url], bare);
    assert.equal(got.code, 1);
    assert.match(got.stderr, /certificate/i);
    assert.equal((await cli(['healthcheck', '--url', `${server.url}/`, '--insecure'], bare)).code, 0);
    assert.equal((await cli(['healthcheck', '--url', server.url, '--ca', live.cert], bare)).code, 0);
    assert.equal((await cli(['healthcheck', '--url', server.url, '--ca', second.cert], bare)).code, 1);
    assert.equal((await cli(['healthcheck', '--ca', live.cert, '--insecure'])).code, 2);
  });

  it('serve --check looks at certificate and key', async () => {
    const locked = await makeCert(dir, 'locked', { passphrase: 'secret' });
    const check = (cert, key) => cli(['serve', '--check'], { TLS_CERT: cert, TLS_KEY: key });
    writeFileSync(path.join(dir, 'text'), 'hello\n');
    assert.equal((await check(first.cert, first.key)).code, 0);
    for (const [cert, key, want] of [
      ['/nowhere/cert.pem', first.key, /^skybuild: TLS_CERT=\/nowhere\/cert\.pem /],
      [path.join(dir, 'text'), first.key, /^skybuild: TLS_CERT=\S+\/text cannot be used: it holds no certificate/],
      [first.cert, second.key, /^skybuild: TLS_KEY=\S+second-key\.pem cannot be used: it is not the key of the certificate in \S+first\.pem$/],
      [locked.cert, locked.key, /^skybuild: TLS_KEY=\S+locked-key\.pem cannot be used: it is encrypted/],
      [first.cert, undefined, /^skybuild: TLS_CERT=\S+ cannot be used: tls_key is not set/i],
      [undefined, first.key, /^skybuild: TLS_KEY=\S+ cannot be used: tls_cert is not set/i],
    ]) {
      const got = await check(cert, key);
      assert.equal(got.code, 1, got.stdout);
      const lines = got.stderr.trim().split('\n').filter((l) => !/warning/i.test(l));
      assert.equal(lines.length, 1, got.stderr);
      assert.match(lines[0], want);
      if (cert && key) assert.equal((await cli(['serve'], { TLS_CERT: cert, TLS_KEY: key })).code, 1);
    }
  });
});

describe('SIGHUP reads the certificate again', () => {
  const hup = async (re) => {
    server.log.clear();
    server.child.kill('SIGHUP');
    return server.waitLog(re);
  };

  it('connected clients stay, new ones see the new certificate, a bad one changes nothing', async () => {
    const ws = await user('anna', { project: PROJECT });
    const polling = await user('ben', { project: PROJECT, transports: ['polling'] });
    const goOn = async () => {
      const i = Math.random();
      ws.emit('cursor:move', { project_id: PROJECT, cursor: { i } });
      await polling.event('cursor:moved', (d) => d.cursor.i === i);
      polling.emit('cursor:move', { project_id: PROJECT, cursor: { i } });
      await ws.event('cursor:moved', (d) => d.cursor.i === i);
    };
    assert.equal(await subject(), 'first');

    use(second);
    const line = await hup(/TLS certificate of/);
    assert.match(line, /INFO TLS certificate of CN = second, valid until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, from \S+live\.pem/);
    await server.waitLog(/SIGHUP: new connections get the certificate/);
    assert.equal(await subject(), 'second');
    await goOn();

    copyFileSync(first.cert, live.cert); // its key has not come yet
    assert.match(await hup(/TLS_KEY=/), /ERROR TLS_KEY=\S+live-key\.pem cannot be used: it is not the key of the certificate/);
    await server.waitLog(/ERROR SIGHUP: the certificate stays what it was/);
    assert.equal(await subject(), 'second');
    rmSync(live.key);
    await hup(/TLS_KEY=\S+ cannot be used: No such file/);
    assert.equal(await subject(), 'second');
    await goOn();

    use(first);
    await hup(/CN = first/);
    assert.equal(await subject(), 'first');
    await goOn();
  });

  it('a storm of SIGHUP', async () => {
    const ws = await user('anna', { project: PROJECT });
    for (let i = 0; i < 50; i++) {
      use(i % 2 ? first : second);
      server.child.kill('SIGHUP');
      await ws.settle();
    }
    use(first);
    await hup(/CN = first/);
    assert.equal(await subject(), 'first');
  });
});

describe('large messages', () => {
  let echo;
  before(async () => (echo = await startEcho({ TLS_CERT: first.cert, TLS_KEY: first.key, PING_INTERVAL: 60000 })));
  after(() => echo?.end());
  const open = async (options) => {
    const c = new Client(echo.url, { ca, ...options });
    return c.connected();
  };

  for (const [how, options] of TRANSPORTS)
    it(`200 KB there and back, ${how}`, async () => {
      const c = await open(options);
      const text = Array.from({ length: 20000 }, (_, i) => String(i).padStart(10, '.')).join('');
      const bytes = Buffer.from(text);
      for (let i = 0; i < 5; i++) {
        c.emit('message', text, bytes, i);
        const got = await c.events.next((e) => e.name === 'message-back', { what: 'message-back' });
        assert.equal(got.args[0], text);
        assert.deepEqual(Buffer.from(got.args[1]), bytes);
        assert.equal(got.args[2], i);
      }
      c.close();
    });

  it('80 x 200 KB to a client that stops reading and goes on: nothing is lost, nothing out of order', async () => {
    const big = await startEcho({ TLS_CERT: first.cert, TLS_KEY: first.key, PING_INTERVAL: 60000 });
    try {
      const socket = tls.connect({ host: '127.0.0.1', port: big.port, ca });
      socket.on('error', () => {});
      const w = await new RawWs(big.port, { socket }).handshakeDone();
      await w.connect();
      const text = 'x'.repeat(200000);
      for (let round = 0; round < 20; round++) {
        socket.pause();
        for (let i = 0; i < 4; i++) w.send(`42["message",${round * 4 + i},"${text}"]`); // 800 KB: below what a slow client may have waiting
        await sleep(20);
        socket.resume();
        for (let i = 0; i < 4; i++) {
          const got = await w.text('42["message-back"');
          assert.equal(got.length, text.length + `42["message-back",${round * 4 + i},""]`.length);
          assert.ok(got.startsWith(`42["message-back",${round * 4 + i},`), got.slice(0, 40));
        }
      }
      w.destroy();
    } finally {
      await big.end();
    }
  });

  it('a client that never reads again is cut, and its neighbour is not', async () => {
    const deaf = await new RawWs(echo.port, { socket: tls.connect({ host: '127.0.0.1', port: echo.port, ca }) }).handshakeDone();
    await deaf.connect();
    const other = await open({ transports: ['websocket'] });
    deaf.tcp.pause();
    const gone = new Promise((resolve) => deaf.tcp.once('close', resolve));
    const text = 'x'.repeat(200000);
    for (let i = 0; i < 100 && !deaf.tcp.destroyed; i++) {
      deaf.send(`42["message","${text}"]`);
      await sleep(5);
    }
    await echo.waitLog(/Slow client cut/);
    deaf.tcp.resume();
    await within(gone, PATIENCE, 'end of the deaf one');
    assert.deepEqual(await other.ask('message-with-ack', 1), 1);
    other.close();
  });
});

describe('ends', () => {
  it('ours are told: close_notify comes before the end', async () => {
    const socket = await dial();
    const end = new Promise((resolve) => socket.once('end', resolve)); // Node gives 'end' for close_notify, an error without
    socket.on('data', () => {});
    socket.write('GET /ws/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await within(end, PATIENCE, 'close_notify');
    assert.equal(socket.fault, undefined);
  });

  hostile('without close_notify, in every state', async () => {
    const raw = async () => {
      const tcp = net.connect(server.port, '127.0.0.1');
      const socket = tls.connect({ socket: tcp, ca });
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      return { tcp, socket };
    };
    const before = await metric('http_connections');
    for (const say of ['', 'GET /ws/status HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /ws/sta', 'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{'])
      for (const how of ['end', 'destroy', 'resetAndDestroy']) {
        const { tcp, socket } = await raw();
        if (say) socket.write(say);
        await sleep(10);
        tcp[how]();
      }
    const { tcp, socket } = await raw();
    const w = await new RawWs(server.port, { socket }).handshakeDone();
    await w.connect({ token: server.token('anna') });
    tcp.destroy();
    await until(async () => (await metric('http_connections')) <= before, 'all have gone');
  });

  it('500 connects and ends leave no descriptor', { timeout: 180000 }, async () => {
    const visit = async (n) => {
      const socket = await dial();
      if (n % 5 === 0) return socket.destroy();
      const w = await new RawWs(server.port, { socket }).handshakeDone();
      await w.connect({ token: server.token('anna') });
      if (n % 5 === 1) w.send('1');
      else if (n % 5 === 2) w.send(Buffer.from([3, 232]), { opcode: 8 });
      else if (n % 5 === 3) return w.destroy();
      else return socket.end();
      await w.end();
    };
    await Promise.all([0, 1, 2, 3, 4].map(visit));
    await until(async () => (await get('/ws/status')).json.active_connections === 0, 'nobody');
    const fds = server.fds();
    for (let n = 0; n < 500; n += 25) await Promise.all(Array.from({ length: 25 }, (_, i) => visit(n + i)));
    await until(async () => (await get('/ws/status')).json.active_connections === 0, 'everybody has gone');
    await until(() => server.fds() <= fds, `not more than ${fds} descriptors, but ${server.fds()}`);
  });
});

describe('abuse', () => {
  hostile('plain HTTP is told to use https', async () => {
    const refused = await metric('http_refused_total');
    for (const pause of [0, 5]) {
      const text = 'GET /ws/status HTTP/1.1\r\nHost: x\r\n\r\n';
      const got = await tcpTalk(server.port, pause ? [...text.slice(0, 8)] : text, { pause, patient: true });
      assert.equal(got.status, 400);
      assert.match(got.text, /"code":"https_required"/);
      assert.ok(got.closed);
    }
    assert.equal(await metric('http_refused_total'), refused + 2);
  });

  // name, bytes, closed at once (else by its deadline)
  for (const [name, bytes] of [
    ['NULs', Buffer.alloc(100)],
    ['a record of 64 KiB', Buffer.concat([Buffer.from('160301ffff', 'hex'), Buffer.alloc(65535, 1)])],
    ['a hello of 16 MiB', Buffer.from('160301000401ffffff', 'hex')],
    ['a server name of 64 KiB', Buffer.concat([Buffer.from('1603014000' + '0100fffc' + '0303', 'hex'), Buffer.alloc(16378, 0x61), Buffer.from('1603014000', 'hex'), Buffer.alloc(16384, 0x61), Buffer.from('1603014000', 'hex'), Buffer.alloc(16384, 0x61), Buffer.from('1603014000', 'hex'), Buffer.alloc(16384, 0x61)])],
    ['data before the handshake', Buffer.from('170303000178', 'hex')],
    ['a fatal alert', Buffer.from('15030100020228', 'hex')],
    ['10,000 warning alerts', Buffer.concat(Array.from({ length: 10000 }, () => Buffer.from('1503010002010a', 'hex')))],
    ['40 empty records', Buffer.concat(Array.from({ length: 40 }, () => Buffer.from('1603010000', 'hex')))],
  ])
    hostile(`${name}: the end, counted`, async () => {
      const failures = await metric('tls_failures_total');
      const got = await tcpTalk(server.port, bytes, { quiet: 3000, patient: true });
      assert.ok(got.closed, 'the connection is closed');
      assert.equal(await metric('tls_failures_total'), failures + 1);
    });

  hostile('200 who connect and say nothing, or half a record, do not stop others', async () => {
    const before = await metric('http_connections');
    const idle = Array.from({ length: 200 }, (_, i) => {
      const tcp = net.connect(server.port, '127.0.0.1', () => i % 2 && tcp.write(Buffer.from('160301', 'hex')));
      tcp.on('error', () => {});
      return tcp;
    });
    await until(async () => (await metric('http_connections')) >= before + 200, 'they are there');
    for (let i = 0; i < 10; i++) assert.equal((await get('/ws/status')).status, 200);
    for (const tcp of idle) tcp.destroy();
  });

  hostile('16 KiB of a request in records of one byte', async () => {
    const socket = await dial();
    socket.setNoDelay(true);
    const text = `GET /ws/status?${'x'.repeat(8000)} HTTP/1.1\r\nHost: x\r\nA: ${'y'.repeat(8000)}\r\nConnection: close\r\n\r\n`;
    const got = [];
    socket.on('data', (d) => got.push(d));
    for (const c of text) socket.write(c);
    await within(new Promise((resolve) => socket.once('close', resolve)), 3 * PATIENCE, 'answer and end');
    assert.match(Buffer.concat(got).toString(), /^HTTP\/1\.1 200 OK/);
  });

  hostile('renegotiation (TLS 1.2): openssl s_client, R', async () => {
    const child = spawn('openssl', ['s_client', '-tls1_2', '-connect', `127.0.0.1:${server.port}`], { stdio: ['pipe', 'pipe', 'pipe'] });
    const said = new Queue('s_client');
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (d) => said.push((text += d)));
    const ended = new Promise((resolve) => child.once('close', resolve));
    try {
      await said.next(() => /Verify return code/.test(text), { what: 'the handshake' });
      const handshakes = await metric('tls_handshakes_total');
      child.stdin.write('R\n');
      await within(ended, PATIENCE, 'the end of s_client').catch(() => {});
      assert.match(text, /RENEGOTIATING/);
      assert.match(text, /no renegotiation/i);
      assert.equal(await metric('tls_handshakes_total'), handshakes + 1, 'only our own look at the metrics');
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  });

  hostile('key updates (TLS 1.3): openssl s_client, K, 2,000 times', async () => {
    const child = spawn('openssl', ['s_client', '-tls1_3', '-connect', `127.0.0.1:${server.port}`], { stdio: ['pipe', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (d) => (text += d));
    const ended = new Promise((resolve) => child.once('close', resolve));
    try {
      await until(() => /Verify return code/.test(text), 'the handshake');
      for (let i = 0; i < 2000 && !child.stdin.destroyed; i++) {
        child.stdin.write('K\n');
        if (i % 50 === 0) await sleep(2);
      }
      await until(() => /KEYUPDATE/.test(text), 'key updates');
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  });

  hostile('500 handshakes at the same time', async () => {
    const failures = await metric('tls_failures_total');
    const all = await Promise.all(Array.from({ length: SANITIZED ? 200 : 500 }, () => dial()));
    // Tickets come behind the handshake: the answer tells that the server has seen its end.
    for (const socket of all) socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await Promise.all(all.map((socket) => within(new Promise((resolve) => socket.once('data', resolve)), PATIENCE, 'an answer')));
    for (const socket of all) socket.destroy();
    assert.equal(await metric('tls_failures_total'), failures);
  });

  hostile('who tries TLS 1.1 is told why, and so is the log at debug level', async () => {
    await assert.rejects(dial({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }), /alert protocol version|unsupported|version/i);
  });
});

// What a stranger may send as HTTP, how slowly, and from which origin, as tables.  After each
// case the server lives, and another session that was there before goes on unharmed.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { withBystander } from './lib/bystander.mjs';
import { Polling, RawWs, tcpTalk } from './lib/eio.mjs';
import { startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';

let server;
const { hostile } = withBystander((given) => ({ server } = given));

const NEXT = 'GET /ws/status HTTP/1.1\r\nHost: x\r\n\r\n';
const get = (head) => `GET /ws/status HTTP/1.1\r\n${head}\r\n`;
const post = (head, body = '') => `POST /socket.io/?EIO=4&transport=polling&sid=nobody HTTP/1.1\r\nHost: x\r\n${head}\r\n${body}`;
const chunked = (body) => post('Transfer-Encoding: chunked\r\n', body);

describe('HTTP framing: refused, connection closed, later bytes never parsed', () => {
  // name, bytes, accepted statuses (400 when absent)
  for (const [name, bytes, statuses = [400]] of [
    ['Content-Length with Transfer-Encoding', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['Transfer-Encoding with Content-Length', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n')],
    ['two different Content-Length', post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello')],
    ['two equal Content-Length', post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello')],
    ...['+5', '-1', '0x10', '1_0', '5 5', '5,5', '', '99999999999999999999', '18446744073709551617', '1Z', '5;', '\x0b5'].map((v) => [`Content-Length: "${v}"`, post(`Content-Length: ${v}\r\n`, 'hello'), [400, 413]]),
    ['space before the colon', post('Content-Length : 5\r\n', 'hello')],
    ['space before the first header', get(' Host: x\r\n')],
    ['tab before the first header', get('\tHost: x\r\n')],
    ...[',chunked', 'chunked, identity', 'xchunked', 'chunked\r\nTransfer-Encoding: identity', 'pigeons', 'chunked;x=1', 'chunked, chunked', '"chunked"', 'identity', ''].map((v) => [
      `Transfer-Encoding: ${JSON.stringify(v)}`,
      post(`Transfer-Encoding: ${v}\r\n`, '0\r\n\r\n'),
      [400, 501],
    ]),
    ['Transfer-Encoding on HTTP/1.0', 'POST /x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ...['0x1', '1_0', '-1', '', 'fffffffffffffffff', '1these-bytes', '+1', ' 1', '1 1', '1;x="\r\n"'].map((v) => [`chunk size ${JSON.stringify(v)}`, chunked(`${v}\r\na\r\n0\r\n\r\n`), [400, 413]]),
    ['bare LF after a chunk size', chunked('1\na\r\n0\r\n\r\n')],
    ['CR X after a chunk size', chunked('1\rXa\r\n0\r\n\r\n')],
    ['chunk data without CRLF', chunked('1\r\naXX0\r\n\r\n')],
    ['LF inside a chunk extension', chunked('1;a\nb\r\na\r\n0\r\n\r\n')],
    ['last chunk with a broken trailer', chunked('0\r\nX\r\n\r\n')],
    ['a trailer with Content-Length', chunked('0\r\nContent-Length: 5\r\n\r\n'), [400, 404]],
    ['bare LF line ends', 'GET /ws/status HTTP/1.1\nHost: x\n\n'],
    ['one bare LF', 'GET /ws/status HTTP/1.1\r\nHost: x\nA: b\r\n\r\n'],
    ['CR inside a value', get('Host: x\r\nA: b\rc\r\n')],
    ['NUL inside a value', get('Host: x\r\nA: b\0c\r\n')],
    ['CR hides a header', get('Host: x\r\nX: \rxTransfer-Encoding: chunked\r\n')],
    ['a folded header', get('Host: x\r\nA: b\r\n c\r\n')],
    ['a header without a colon', get('Host: x\r\nABC\r\n')],
    ['an empty header name', get('Host: x\r\n: b\r\n')],
    ['a header name with brackets', get('Host: x\r\nX-Invalid[]: b\r\n')],
    ['a header name with byte 0x80', get('Host: x\r\nX\x80: b\r\n')],
    ['no Host', get('')],
    ['two Hosts', get('Host: x\r\nHost: y\r\n')],
    ['empty Host', get('Host: \r\n')],
    ...['a@b', 'a/b', 'a\0b', 'a b', 'a?b', 'a#b'].map((v) => [`Host: ${JSON.stringify(v)}`, get(`Host: ${v}\r\n`)]),
    ...['HTTP/1.32', 'HTTP/4294967295.255', 'HTTP/1', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTPS/1.1', 'HTTP/1.1x'].map((v) => [`version ${v}`, `GET /ws/status ${v}\r\nHost: x\r\n\r\n`, [400, 505]]),
    ['HTTP/0.9', 'GET /ws/status\r\n\r\n', [400, 505]],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 405, 505]],
    ['a TLS hello', Buffer.from('16030100f8010000f40303', 'hex').toString('latin1') + 'x'.repeat(60)],
    ['a PROXY header', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /ws/status HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a PROXY v2 header', '\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c' + NEXT, [400]],
    ['two spaces in the request line', 'GET  /ws/status HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a tab in the request line', 'GET\t/ws/status HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a method that is none', 'G=T /ws/status HTTP/1.1\r\nHost: x\r\n\r\n', [400, 405, 501]],
    ['control bytes in the target', 'GET /ws/\x01status HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['Expect: foo', post('Expect: foo\r\nContent-Length: 5\r\n', 'hello'), [417]],
    ['a head over 16 KiB', get(`Host: x\r\nA: ${'b'.repeat(17000)}\r\n`), [431]],
    ['a target over 16 KiB', `GET /${'a'.repeat(17000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [400, 414, 431]],
    ['101 headers', get(`Host: x\r\n${'A: b\r\n'.repeat(101)}`), [431]],
    ['2000 headers', get(`Host: x\r\n${'A:b\r\n'.repeat(2000)}`), [431]],
  ]) {
    const check = (got) => {
      assert.ok(statuses.includes(got.status), `status ${got.status}, wanted ${statuses}: ${got.text.slice(0, 200)}`);
      assert.equal(got.closed, true, 'the connection is closed');
      assert.equal(got.answers, 1, `one answer, not ${got.answers}: ${got.text.slice(0, 400)}`);
    };
    hostile(name, async () => {
      check(await tcpTalk(server.port, bytes + NEXT, { quiet: 1500 }));
      if (bytes.length < 400) check(await tcpTalk(server.port, [...bytes].map((c) => Buffer.from(c, 'latin1')), { quiet: 1500 }));
    });
  }
});

describe('HTTP framing: accepted, counted or bounded', () => {
  hostile('pipelined requests are answered in order', async () => {
    const got = await tcpTalk(server.port, NEXT + 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n' + NEXT, { quiet: 300 });
    assert.deepEqual([...got.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]), ['200', '404', '200']);
  });

  hostile('the body of a GET is consumed exactly', async () => {
    const body = 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n';
    const got = await tcpTalk(server.port, `GET /ws/status HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}${NEXT}`, { quiet: 300 });
    assert.ok(!got.text.includes('404'), got.text);
  });

  hostile('10,000 pipelined GETs: bounded, in order, fair', async () => {
    const talk = tcpTalk(server.port, NEXT.repeat(10000), { quiet: 3000, limit: 60000 });
    const begun = Date.now();
    assert.equal((await request(server.port, 'GET', '/healthz')).status, 200);
    assert.ok(Date.now() - begun < 5000, 'another is served meanwhile');
    const got = await talk;
    assert.ok(got.answers === 10000 || got.closed, `${got.answers} answers`);
  });

  hostile('Expect: 100-continue', async () => {
    const got = await tcpTalk(server.port, ['POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n', '40'], { pause: 50 });
    assert.match(got.text, /^HTTP\/1\.1 (100|400)/);
    assert.match(got.text, /HTTP\/1\.1 400/);
  });

  hostile('a million one-byte chunks: refused by their overhead', async () => {
    const got = await tcpTalk(server.port, ['POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\na\r\n'.repeat(1000000)], { quiet: 4000, limit: 30000 });
    assert.ok([400, 413].includes(got.status) || got.closed, got.text.slice(0, 100));
  });

  // target, statuses
  for (const [target, statuses] of [
    ['http://evil/', [400, 404]],
    ['*', [400, 404]],
    ['//socket.io/?EIO=4&transport=polling', [400, 404]],
    ['/socket.io/../ws/status', [400, 404]],
    ['/%2e%2e/etc/passwd', [400, 404]],
    ['/../../etc/passwd', [400, 404]],
    ['/..%2f..%2fetc/passwd', [400, 404]],
    ['/.git/config', [400, 404]],
    ['/socket.io/..%2f..%2fpackage.json', [400, 404]],
    ['/socket.io/%00', [400, 404]],
    ['/SOCKET.IO/?EIO=4&transport=polling', [400, 404]],
    ['/socket.io;jsessionid=1/?EIO=4&transport=polling', [400, 404]],
    ['/socket.io/foo?EIO=4&transport=polling', [400, 404]],
    ['/ws/status/', [400, 404]],
    ['/ws/status;x', [400, 404]],
    ['/api/projects/%ff/boq', [400, 401, 404]],
    ['/api/projects/%00/boq', [400, 401, 404]],
    ['/ws/status?verbose=%zz', [200, 400]],
    [`/socket.io/?EIO=4&transport=polling&${'a'.repeat(8192)}=1`, [200, 400, 414, 431]],
    ['/socket.io/?EIO=4&EIO=3&transport=polling', [400]],
    ['/socket.io/?EIO=3&EIO=4&transport=polling', [200]],
    ['/socket.io/?transport=constructor&EIO=4', [400]],
    ['/socket.io/?__proto__=1&EIO=4&transport=polling', [200]],
  ])
    hostile(`GET ${target.slice(0, 60)}`, async () => {
      const got = await tcpTalk(server.port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, { quiet: 2000 });
      assert.ok(statuses.includes(got.status), `${got.status}: ${got.text.slice(0, 200)}`);
      assert.ok(!/root:|\[core\]|"dependencies"/.test(got.text));
    });

  for (const method of ['TRACE', 'CONNECT', 'FOO', 'PROPFIND'])
    hostile(`method ${method}`, async () => {
      const got = await tcpTalk(server.port, `${method} ${method === 'CONNECT' ? 'host:443' : '/ws/status'} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, { quiet: 2000 });
      assert.ok([400, 404, 405, 501].includes(got.status), got.text.slice(0, 100));
    });

  hostile('a body over the limit, declared: 413 before it is read', async () => {
    const got = await tcpTalk(server.port, 'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n', { quiet: 2000 });
    assert.equal(got.status, 413);
    assert.equal(got.closed, true);
  });

  hostile('connections that come and go without a word', async () => {
    for (let i = 0; i < 200; i++) await tcpTalk(server.port, i % 2 ? 'GET /ws/sta' : '', { quiet: 1 });
  });
});

describe('deadlines', () => {
  // Trickles bytes until the server closes; gives the seconds it took.
  const trickle = (begin, byte, every) =>
    new Promise((resolve) => {
      const tcp = net.connect(server.port, '127.0.0.1', () => tcp.write(begin));
      const begun = Date.now();
      const timer = setInterval(() => tcp.write(byte), every);
      const late = setTimeout(() => tcp.destroy(), 60000);
      tcp.on('error', () => {});
      tcp.resume();
      tcp.on('close', () => {
        clearInterval(timer);
        clearTimeout(late);
        resolve((Date.now() - begun) / 1000);
      });
    });
  const until = async (w) => {
    const begun = Date.now();
    await w.end(60000);
    return (Date.now() - begun) / 1000;
  };

  hostile('slow heads, slow bodies and unfinished messages end, whatever trickles in', async () => {
    const fresh = async () => (await new RawWs(server.port).handshakeDone()).connect({ token: server.token('anna') });
    const [half, attachments] = [await fresh(), await fresh()];
    half.send('42["cursor', { fin: false });
    attachments.send('451-["e",{"_placeholder":true,"num":0}]');
    const body = 'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n';
    const seconds = {};
    const [head, silence, slowBody, message, attachment] = await Promise.all([
      trickle('GET /ws/status HTTP/1.1\r\nHost: x\r\nX: ', 'a', 500),
      trickle('GET /ws/sta', '', 500),
      trickle(body, ' ', 500),
      until(half),
      until(attachments),
    ]);
    Object.assign(seconds, { head, silence, slowBody, message, attachment });
    assert.ok(head > 8 && head < 14, `head after ${JSON.stringify(seconds)}`);
    assert.ok(silence > 8 && silence < 14, `half a head after ${JSON.stringify(seconds)}`);
    for (const s of [slowBody, message, attachment]) assert.ok(s > 20 && s < 40, JSON.stringify(seconds));
  });
});

describe('origins', () => {
  const own = () => `http://127.0.0.1:${server.port}`;
  for (const origin of ['https://evil.example', 'null', 'https://127.0.0.1.evil.example', 'http://evil127.0.0.1', 'http://127.0.0.1:1', 'http://127.0.0.1', 'file://', 'http://', 'x'])
    hostile(`Origin: ${origin}: 403 on polling, WebSocket and REST, no CORS header`, async () => {
      for (const target of ['/socket.io/?EIO=4&transport=polling', '/ws/status']) {
        const res = await request(server.port, 'GET', target, { headers: { origin } });
        assert.equal(res.status, 403, `${target} ${res.body}`);
        assert.equal(res.headers['access-control-allow-origin'], undefined);
      }
      const ws = new RawWs(server.port, { headers: { Origin: origin } });
      await ws.end();
      assert.equal(ws.status, 403);
      const pre = await request(server.port, 'OPTIONS', '/api/projects', { headers: { origin, 'access-control-request-method': 'GET' } });
      assert.equal(pre.headers['access-control-allow-origin'], undefined);
    });

  hostile('the own origin, and none, pass', async () => {
    for (const headers of [{}, { origin: own() }]) {
      assert.equal((await request(server.port, 'GET', '/socket.io/?EIO=4&transport=polling', { headers })).status, 200);
      const ws = new RawWs(server.port, { headers: headers.origin ? { Origin: headers.origin } : {} });
      await ws.handshakeDone();
      ws.destroy();
    }
  });

  hostile('an upgrade from another origin: 403, the session polls on', async () => {
    const p = await new Polling(server.port).open();
    const ws = new RawWs(server.port, { sid: p.sid, headers: { Origin: 'https://evil.example' } });
    await ws.end();
    assert.equal(ws.status, 403);
    await p.connect({ token: server.token('anna') });
  });

  it('listed origins: credentials and Vary, exactly those', async () => {
    const listed = await startServer({ fill: 'none', env: { CORS_ALLOWED_ORIGINS: 'https://app.example, https://two.example:8443' } });
    try {
      for (const origin of ['https://app.example', 'https://two.example:8443', 'HTTPS://APP.EXAMPLE']) {
        const res = await request(listed.port, 'GET', '/socket.io/?EIO=4&transport=polling', { headers: { origin } });
        assert.equal(res.status, 200, origin);
        assert.equal(res.headers['access-control-allow-origin'].toLowerCase(), origin.toLowerCase());
        assert.match(res.headers.vary, /Origin/i);
        const pre = await request(listed.port, 'OPTIONS', '/api/projects/x', { headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization,content-type' } });
        assert.equal(pre.status, 204);
        assert.match(pre.headers['access-control-allow-methods'], /PATCH/);
        assert.match(pre.headers['access-control-allow-headers'], /authorization/i);
      }
      for (const origin of ['https://app.example.evil', 'http://app.example', 'https://app.example:444', 'https://xapp.example'])
        assert.equal((await request(listed.port, 'GET', '/ws/status', { headers: { origin } })).status, 403, origin);
    } finally {
      await listed.stop();
    }
  });
});

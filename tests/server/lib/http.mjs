// One HTTP request on a connection of its own, with nothing added by a library
// that would get in a test's way.
import http from 'node:http';
import https from 'node:https';

export function request(port, method, path, { headers = {}, body, json, agent = false, host = '127.0.0.1', timeout = 15000, ca } = {}) {
  const payload = json === undefined ? body : JSON.stringify(json);
  const all = { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers };
  if (payload !== undefined && !Object.keys(all).some((k) => /^(content-length|transfer-encoding)$/i.test(k)))
    all['content-length'] = Buffer.byteLength(payload);
  return new Promise((resolve, reject) => {
    // ca: over TLS, with a certificate that this one vouches for
    const req = (ca ? https : http).request({ host, port, method, path, headers: all, agent, ...(ca ? { ca } : {}) }, (res) => {
      const chunks = [];
      res.on('data', (c) => chunks.push(c));
      res.on('error', reject);
      res.on('end', () => {
        const raw = Buffer.concat(chunks);
        const answer = { status: res.statusCode, headers: res.headers, raw, body: raw.toString(), json: undefined };
        if (/json/.test(res.headers['content-type'] ?? ''))
          try {
            answer.json = JSON.parse(answer.body);
          } catch {
            // left undefined: the test that needs it will say so
          }
        resolve(answer);
      });
    });
    req.setTimeout(timeout, () => req.destroy(new Error(`${method} ${path}: no answer within ${timeout} ms`)));
    req.on('error', reject);
    req.end(payload);
  });
}

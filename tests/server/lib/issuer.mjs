// An issuer of tokens: keys of its own, and a server with their JWK Set that a test can make
// misbehave.
import { generateKeyPairSync, constants, sign } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';

const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

// A key pair for alg, named kid.
export function makeKey(kid, alg = 'ES256') {
  const pair = CURVES[alg] ? generateKeyPairSync('ec', { namedCurve: CURVES[alg] }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { kid, alg, ...pair, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
}

const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');

// A token signed with that key; header: other members of the header (undefined: without).
export function tokenOf(key, claims, { ttl = 3600, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: key.alg, kid: key.kid, ...header })}.${part({ iat: now, exp: now + ttl, ...claims })}`;
  const hash = `sha${key.alg.slice(2)}`;
  const how = { key: key.privateKey };
  if (CURVES[key.alg]) how.dsaEncoding = 'ieee-p1363';
  if (key.alg.startsWith('PS')) Object.assign(how, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
  return `${text}.${sign(hash, Buffer.from(text), how).toString('base64url')}`;
}

// tls: {key, cert} as PEM.  .keys is what it publishes; .answer, a function (req, res), answers in
// place of that; .asked counts the requests.  .held: requests that hang (answer = issuer.hang).
export async function startIssuer(keys = [], { tls, port = 0, host = '127.0.0.1' } = {}) {
  const issuer = { keys, asked: 0, answer: null, held: [] };
  const onRequest = (req, res) => {
    issuer.asked++;
    issuer.last = req;
    if (issuer.answer) issuer.answer(req, res);
    else issuer.publish(res);
  };
  issuer.publish = (res) => {
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ keys: issuer.keys.map((k) => k.jwk ?? k) }));
  };
  issuer.hang = (req, res) => issuer.held.push(res);
  const server = tls ? https.createServer(tls, onRequest) : http.createServer(onRequest);
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  issuer.port = server.address().port;
  issuer.url = `${tls ? 'https' : 'http'}://${host}:${issuer.port}/keys`;
  issuer.stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return issuer;
}

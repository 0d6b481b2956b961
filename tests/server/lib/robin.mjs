// A load balancer without affinity: each request goes to the next server, whatever connection
// it came on.  shy: never to the server that opened the session of the request.
import http from 'node:http';
import net from 'node:net';

const sidOf = (url) => new URL(url, 'http://x').searchParams.get('sid');

export class Robin {
  constructor(ports, { shy = false } = {}) {
    this.ports = ports;
    this.shy = shy;
    this.owners = new Map(); // sid: the port that gave it
    this.turn = 0;
    this.counts = new Map(ports.map((p) => [p, 0]));
    this.sockets = new Set();
    this.agent = new http.Agent({ keepAlive: true });
    this.server = http.createServer((req, res) => this.pass(req, res));
    this.server.on('upgrade', (req, socket, head) => this.upgrade(req, socket, head));
    this.server.on('connection', (s) => {
      this.sockets.add(s);
      s.on('close', () => this.sockets.delete(s));
    });
  }

  listen() {
    return new Promise((resolve) =>
      this.server.listen(0, '127.0.0.1', () => {
        this.port = this.server.address().port;
        this.url = `http://127.0.0.1:${this.port}`;
        resolve(this);
      }),
    );
  }

  pick(req) {
    const owner = this.shy ? this.owners.get(sidOf(req.url)) : undefined;
    let port;
    do port = this.ports[this.turn++ % this.ports.length];
    while (port === owner && this.ports.length > 1);
    this.counts.set(port, this.counts.get(port) + 1);
    return port;
  }

  pass(req, res) {
    const port = this.pick(req);
    const out = http.request({ port, host: '127.0.0.1', method: req.method, path: req.url, headers: req.headers, agent: this.agent }, (got) => {
      res.writeHead(got.statusCode, got.statusMessage, got.rawHeaders);
      got.on('data', (d) => {
        const sid = !sidOf(req.url) && d.toString('latin1').match(/^0\{"sid":"([^"]+)"/)?.[1];
        if (sid) this.owners.set(sid, port);
      });
      got.pipe(res);
      got.on('error', () => res.destroy());
    });
    out.on('error', () => res.destroy());
    res.on('close', () => res.writableFinished || out.destroy());
    req.pipe(out);
  }

  upgrade(req, socket, head) {
    const far = net.connect(this.pick(req), '127.0.0.1', () => {
      const lines = [`${req.method} ${req.url} HTTP/1.1`];
      for (let i = 0; i < req.rawHeaders.length; i += 2) lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`);
      far.write(`${lines.join('\r\n')}\r\n\r\n`);
      far.write(head);
      far.pipe(socket);
      socket.pipe(far);
    });
    this.sockets.add(far);
    for (const [one, other] of [[socket, far], [far, socket]]) {
      one.on('error', () => {});
      one.on('close', () => (other.destroy(), this.sockets.delete(one)));
    }
  }

  close() {
    this.server.close();
    this.agent.destroy();
    for (const s of this.sockets) s.destroy();
  }
}

export const startRobin = (ports, options) => new Robin(ports, options).listen();

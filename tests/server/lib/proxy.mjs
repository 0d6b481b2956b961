// A small proxy in front of a server, whole, whose parts a test breaks one at a time.
import http from 'node:http';
import net from 'node:net';

// The request's bytes as a proxy hands them on.
const head = (req, headers) => `${req.method} ${req.url} HTTP/1.1\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;

// target: a port, or a function that gives one for each request.
// break.request(req, res, forward), break.upgrade(req, socket, forward): in the place of handing on; forward(changes) hands on, with
// changes {url, headers, answer(headers): of the answer, body(bytes)}.  break.upgrade === false: upgrades come as plain requests.
export async function startProxy(target, broken = {}) {
  const port = typeof target === 'function' ? target : () => target;
  const server = http.createServer((req, res) => {
    const forward = ({ url = req.url, headers = {}, answer = (h) => h } = {}) => {
      delete req.headers.upgrade; // from one to the next, as RFC 9110 has it
      req.headers.connection = 'close';
      const out = http.request({ host: '127.0.0.1', port: port(), method: req.method, path: url, agent: false, headers: { ...req.headers, ...headers } }, (got) => {
        res.writeHead(got.statusCode, answer({ ...got.headers }));
        got.pipe(res);
      });
      out.on('error', () => res.destroy());
      res.on('close', () => out.destroy());
      req.pipe(out);
    };
    if (broken.request) broken.request(req, res, forward);
    else forward();
  });
  if (broken.upgrade !== false)
    server.on('upgrade', (req, socket) => {
      socket.on('error', () => {});
      const forward = ({ onData = (d) => d, headers = {} } = {}) => {
        const tcp = net.connect(port(), '127.0.0.1');
        tcp.on('error', () => {});
        tcp.write(head({ ...req, method: req.method, url: req.url }, { ...req.headers, ...headers }));
        socket.on('data', (d) => {
          const passed = onData(d, socket, tcp);
          if (passed) tcp.write(passed);
        });
        tcp.pipe(socket);
        tcp.on('close', () => socket.destroy());
        socket.on('close', () => tcp.destroy());
        return tcp;
      };
      if (broken.upgrade) broken.upgrade(req, socket, forward);
      else forward();
    });
  await new Promise((resolve) => server.listen(0, broken.host ?? '127.0.0.1', resolve));
  const { port: own } = server.address();
  const sockets = new Set();
  server.on('connection', (s) => (sockets.add(s), s.on('close', () => sockets.delete(s))));
  return {
    port: own,
    url: `http://127.0.0.1:${own}`,
    stop: () => new Promise((resolve) => (server.close(resolve), sockets.forEach((s) => s.destroy()))),
  };
}

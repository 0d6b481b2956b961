// A network that can be cut, mended, deafened, and led to another server.
import net from 'node:net';

const networks = new Set();

// A network between clients and a server: cut() breaks what is open and lets nobody through
// until mend(); swallow(n) lets n more bytes pass to each client, then breaks.
export class Network {
  constructor(port) {
    this.to = port;
    this.open = new Set();
    this.isCut = false;
    this.server = net.createServer((near) => {
      if (this.isCut) return near.destroy();
      const far = net.connect(this.to, '127.0.0.1');
      const pair = { near, far };
      this.open.add(pair);
      const end = () => {
        if (pair.isStranded) return;
        near.destroy();
        far.destroy();
        this.open.delete(pair);
      };
      for (const s of [near, far]) s.on('error', end).on('close', end).setNoDelay(true);
      near.on('data', (d) => far.write(d));
      far.on('data', (d) => this.isDeaf || near.write(d));
    });
    networks.add(this);
  }

  listen() {
    return new Promise((resolve) => this.server.listen(0, '127.0.0.1', () => {
      this.port = this.server.address().port;
      this.url = `http://127.0.0.1:${this.port}`;
      resolve(this);
    }));
  }

  // The clients lose what is open now; their server does not notice.
  strand() {
    for (const pair of this.open) {
      pair.isStranded = true;
      pair.near.destroy();
    }
  }

  // Nothing reaches the clients any more, though nobody notices.
  deafen() {
    this.isDeaf = true;
  }

  cut() {
    this.isCut = true;
    for (const { near, far } of [...this.open]) {
      near.destroy();
      far.destroy();
    }
    this.open.clear();
  }

  mend() {
    this.isCut = this.isDeaf = false;
  }

  close() {
    this.cut();
    this.server.close();
  }

  // All that were made: behind each test.
  static closeAll() {
    for (const n of networks) n.close();
    networks.clear();
  }
}

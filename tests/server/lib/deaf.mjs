// Stands between a server and Redis.  deafen(): connections that listen get nothing any more,
// though they stay open; those made later are whole.  cut(): nothing goes through and nobody gets
// in until mend().
import net from 'node:net';

export class DeafProxy {
  constructor(to) {
    this.pairs = new Set();
    this.server = net.createServer((near) => {
      if (this.isCut) return near.destroy();
      const far = net.connect(to, '127.0.0.1');
      const pair = { near, far, listens: false, isDeaf: false };
      this.pairs.add(pair);
      near.on('data', (d) => {
        pair.listens ||= d.includes('SUBSCRIBE');
        far.write(d);
      });
      far.on('data', (d) => pair.isDeaf || near.write(d));
      for (const [one, other] of [[near, far], [far, near]]) {
        one.on('error', () => {});
        one.on('close', () => (other.destroy(), this.pairs.delete(pair)));
      }
    });
  }

  listen() {
    return new Promise((resolve) => this.server.listen(0, '127.0.0.1', () => {
      this.port = this.server.address().port;
      resolve(this);
    }));
  }

  deafen() {
    for (const p of this.pairs) p.isDeaf = p.listens;
  }

  cut() {
    this.isCut = true;
    for (const p of this.pairs) p.near.destroy();
  }

  mend() {
    this.isCut = false;
  }

  close() {
    this.server.close();
    for (const p of this.pairs) p.near.destroy();
  }
}

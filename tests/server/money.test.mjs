// Exact decimals end to end: what goes in by REST comes out digit for digit, and totals
// and sums are what BigInt says.  JSON.parse would make doubles of them, so numbers are
// taken from the text of the answers.  Prints its seed; SEED= repeats a run.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startServer } from './lib/harness.mjs';
import { request } from './lib/http.mjs';

const P = '/api/projects/proj-123';
const seed = Number(process.env.SEED ?? Date.now() % 1e9);
console.log(`money: SEED=${seed}`);
let state = BigInt(seed);
const random = (below) => {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(below));
};
const pick = (list) => list[random(list.length)];
const digits = (n, first = 0) => Array.from({ length: n }, (_, i) => (i === 0 ? first + random(10 - first) : pick([0, 9, random(10)]))).join('');

// The reference: value * 10^scale as BigInt, from the text of a number.
function big(text, scale) {
  const [, sign, whole, frac = '', exp = '0'] = text.match(/^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/);
  let value = BigInt(whole + frac), power = scale - frac.length + Number(exp);
  for (; power < 0; power++) {
    if (value % 10n !== 0n) return null; // more digits than the scale has
    value /= 10n;
  }
  value *= 10n ** BigInt(power);
  return sign ? -value : value;
}
// Canonical text of value / 10^scale.
function text(value, scale) {
  const s = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  const frac = s.slice(s.length - scale).replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${s.slice(0, s.length - scale)}${frac && `.${frac}`}`;
}
// What the server accepts: at most 18 digits before and 6 behind the point.
const fits = (value) => value !== null && (value < 0n ? -value : value) < 10n ** 24n;

// A number in one of the ways in which people write it, and as JSON number or string.
function number() {
  const whole = random(19), frac = random(7);
  let t = `${whole ? digits(whole, 1) : '0'}${frac ? `.${digits(frac)}` : ''}`;
  if (random(3) === 0) t = `-${t}`;
  if (random(4) === 0) t += t.includes('.') ? '0'.repeat(random(5)) : '.000';
  if (random(6) === 0 && !t.includes('e')) {
    const e = random(5);
    const value = big(t, 6);
    t = fits(value === null ? null : value * 10n ** BigInt(e)) ? `${t}e${e}` : t;
  }
  return t;
}
const json = (t) => (random(2) ? t : `"${t}"`);

let server, token;
const send = (method, target, body) =>
  request(server.port, method, target, { headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body });
const field = (body, name) => body.match(new RegExp(`"${name}":(-?[0-9.]+)`))[1];

before(async () => {
  server = await startServer();
  token = server.token('anna');
});
after(() => server?.stop());

describe('quantities and money', () => {
  it('random numbers: stored exactly, totals are the products', async () => {
    for (let i = 0; i < 250; i++) {
      const [qty, price] = [number(), number()];
      const res = await send('POST', `${P}/boq`, `{"section":"A${i % 7}","qty":${json(qty)},"unit_price":${json(price)}}`);
      assert.equal(res.status, 201, `${qty} ${price}: ${res.body}`);
      assert.equal(field(res.body, 'qty'), text(big(qty, 6), 6), qty);
      assert.equal(field(res.body, 'unit_price'), text(big(price, 6), 6), price);
      assert.equal(field(res.body, 'total'), text(big(qty, 6) * big(price, 6), 12), `${qty} * ${price}`);
      const got = await send('GET', `${P}/boq/${res.json.item_id}`);
      assert.equal(got.body, res.body);
    }
  });

  it('sums of sections and of the whole, over pages and after a bulk change', async () => {
    const all = async () => {
      const rows = [];
      for (let cursor = ''; cursor !== null; ) {
        const res = await send('GET', `${P}/boq?limit=60${cursor && `&cursor=${cursor}`}`);
        for (const row of res.body.slice(10).split('},{'))
          rows.push({ id: row.match(/"item_id":"([^"]+)"/)[1], section: row.match(/"section":"([^"]*)"/)[1], qty: field(row, 'qty'), price: field(row, 'unit_price'), total: field(row, 'total') });
        cursor = res.json.next_cursor;
      }
      return rows;
    };
    const check = (rows) => {
      const sums = new Map();
      for (const r of rows) {
        const [told, computed] = sums.get(r.section) ?? [0n, 0n];
        sums.set(r.section, [told + big(r.total, 12), computed + big(r.qty, 6) * big(r.price, 6)]);
      }
      for (const [section, [told, computed]] of sums) assert.equal(told, computed, section);
      return rows.reduce((sum, r) => sum + big(r.total, 12), 0n);
    };
    let rows = await all();
    assert.ok(rows.length >= 250);
    check(rows);
    const want = new Map();
    const updates = rows.map((r) => {
      const qty = number();
      want.set(r.id, big(qty, 6) * big(r.price, 6));
      return `{"item_id":"${r.id}","qty":${json(qty)}}`;
    });
    const res = await send('POST', `${P}/boq/bulk`, `{"updates":[${updates.join(',')}]}`);
    assert.equal(res.json.updated, rows.length, res.body.slice(0, 500));
    rows = await all();
    for (const r of rows) assert.equal(big(r.total, 12), want.get(r.id), r.id);
    assert.equal(check(rows), [...want.values()].reduce((a, b) => a + b, 0n));
  });

  it('events carry the same digits', async () => {
    const made = await send('POST', `${P}/boq`, '{"qty":1}');
    for (let i = 0; i < 40; i++) {
      const [qty, price] = [number(), number()];
      const res = await send('PATCH', `${P}/boq/${made.json.item_id}`, `{"qty":${json(qty)},"unit_price":${json(price)}}`);
      assert.equal(res.status, 200, res.body);
      const { last_seq } = (await send('GET', `${P}/events?after=9007199254740991`)).json;
      const event = await send('GET', `${P}/events?after=${last_seq - 1}`);
      assert.equal(field(event.body, 'qty'), text(big(qty, 6), 6));
      assert.equal(field(event.body, 'unit_price'), text(big(price, 6), 6));
      assert.equal(field(event.body, 'total'), text(big(qty, 6) * big(price, 6), 12));
    }
  });

  it('limits: what fits is taken, what does not is refused, nothing is rounded', async () => {
    const edges = ['999999999999999999.999999', '-999999999999999999.999999', '0.000001', '-0.000001', '1e17', '1e18', '0.0000001', '1e-6', '1e-7',
      '100000000000000000e1', '1000000000000000000', '0.1000000', '-0', '0e5', '1.0e3', '12345678901234567.1234567', '0.30000000000000004'];
    for (let i = 0; i < 150; i++) edges.push(`${pick(['', '-'])}${digits(1 + random(22), 1)}${pick(['', `.${digits(1 + random(9))}`])}${pick(['', '', `e${random(9) - 4}`])}`);
    for (const t of edges) {
      const value = big(t, 6);
      const res = await send('POST', `${P}/boq`, `{"qty":${json(t)},"unit_price":"999999999999999999.999999"}`);
      if (fits(value)) {
        assert.equal(res.status, 201, `${t}: ${res.body}`);
        assert.equal(field(res.body, 'qty'), text(value, 6), t);
        assert.equal(field(res.body, 'total'), text(value * (10n ** 24n - 1n), 12), t);
      } else {
        assert.equal(res.status, 422, `${t}: ${res.body}`);
        assert.equal(res.json.field, 'qty');
        assert.match(res.json.detail, /at most 18 digits before and 6 behind the point/);
      }
    }
  });
});

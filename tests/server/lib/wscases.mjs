// What a WebSocket server must do with frames, as a table in the order of the usual
// conformance suite: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing.
//
// A row is [name, what the client sends, what must come back].  Sent are frames; back come
// "text hello", "binary 00ff", "pong x", and at the end "close 1002" (1005: an empty close
// frame).  A row without a close at its end leaves the connection open: the client closes
// then with 1000 and wants that back.
import { frame } from './eio.mjs';

const T = 1, B = 2, CONT = 0, CLOSE = 8, PING = 9, PONG = 10;
const text = (s, o = {}) => frame(Buffer.from(s), { opcode: T, ...o });
const part = (s, o = {}) => frame(Buffer.from(s), { opcode: T, fin: false, ...o });
const more = (s, o = {}) => frame(Buffer.from(s), { opcode: CONT, fin: false, ...o });
const last = (s, o = {}) => frame(Buffer.from(s), { opcode: CONT, ...o });
const binary = (b, o = {}) => frame(Buffer.from(b), { opcode: B, ...o });
const ping = (b = '', o = {}) => frame(Buffer.from(b), { opcode: PING, ...o });
const pong = (b = '', o = {}) => frame(Buffer.from(b), { opcode: PONG, ...o });
export const close = (code, reason = '', o = {}) =>
  frame(code === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]), { opcode: CLOSE, ...o });
const hex = (s) => Buffer.from(s.replace(/ /g, ''), 'hex');

const SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536];
const GOOD = ['κόσμε', 'Hello-µ@ßöäüàá-UTF-8!!', '\u{10ffff}', '\ud7ff\ue000\ufffd', '\ufffe\uffff', '\u0000', '𠈓😀'];
// Bytes that are no UTF-8, from the first that shows it on.
const BAD = [
  ['a lone continuation byte', 'c3a9 80'], ['a lone bf', 'bf'], ['two of them', '80bf'],
  ['every lead byte of two followed by a blank', 'c020'], ['c1', 'c1bf'], ['e0 cut by a letter', 'e0a041'],
  ['an overlong slash of two', 'c0af'], ['an overlong slash of three', 'e080af'], ['an overlong slash of four', 'f08080af'],
  ['the largest overlong of two', 'c1bf'], ['the largest overlong of three', 'e09fbf'], ['the largest overlong of four', 'f08fbfbf'],
  ['an overlong NUL', 'c080'], ['five bytes', 'f888808080'], ['six bytes', 'fc8480808080'], ['fe', 'fe'], ['ff', 'ff'],
  ['a low surrogate', 'edb080'], ['a high surrogate', 'eda080'], ['a pair of surrogates', 'eda080edb080'],
  ['over U+10FFFF', 'f4908080'], ['f5', 'f5808080'], ['a character within another', 'ce ce ba'],
];

export const CASES = [
  // 1 framing
  ...SIZES.map((n) => [`1.1 text of ${n} bytes`, [text('*'.repeat(n))], [`text ${'*'.repeat(n)}`]]),
  ...SIZES.map((n) => [`1.2 binary of ${n} bytes`, [binary(Buffer.alloc(n, 0xfe))], [`binary ${'fe'.repeat(n)}`]]),
  // 2 pings and pongs
  ['2.1 a ping without payload', [ping()], ['pong ']],
  ['2.2 a ping with text', [ping('Hello, world!')], ['pong Hello, world!']],
  ['2.3 a ping with bytes', [ping(hex('00fffefdfcfb00ff'))], [`pong ${hex('00fffefdfcfb00ff').toString('latin1')}`]],
  ['2.4 a ping of 125 bytes', [ping(Buffer.alloc(125, 0xfe))], [`pong ${'\xfe'.repeat(125)}`]],
  ['2.5 a ping of 126 bytes', [ping(Buffer.alloc(126))], ['close 1002']],
  ['2.7 a pong that nobody asked for', [pong()], []],
  ['2.8 a pong with payload', [pong('unsolicited')], []],
  ['2.9 a pong, a ping', [pong('unsolicited'), ping('p')], ['pong p']],
  ['2.10 ten pings', Array.from({ length: 10 }, (_, i) => ping(`p${i}`)), Array.from({ length: 10 }, (_, i) => `pong p${i}`)],
  // 3 reserved bits
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv) => [`3.1 RSV ${rsv}`, [text('x', { rsv })], ['close 1002']]),
  ['3.2 text, then RSV2', [text('a'), text('b', { rsv: 2 }), ping()], ['text a', 'close 1002']],
  ['3.3 RSV3 on a ping', [text('a'), ping('', { rsv: 1 })], ['text a', 'close 1002']],
  ['3.4 RSV on a close frame', [close(1000, '', { rsv: 4 })], ['close 1002']],
  ['3.5 RSV1 on a continuation', [part('a'), last('b', { rsv: 4 })], ['close 1002']],
  // 4 opcodes
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode) => [
    [`4 opcode ${opcode}`, [frame(Buffer.from('x'), { opcode })], ['close 1002']],
    [`4 text, then opcode ${opcode}, then a ping`, [text('a'), frame(Buffer.alloc(0), { opcode }), ping()], ['text a', 'close 1002']],
  ]),
  // 5 fragments
  ['5.1 a ping in two fragments', [ping('a', { fin: false }), last('b')], ['close 1002']],
  ['5.2 a pong in two fragments', [pong('a', { fin: false }), last('b')], ['close 1002']],
  ['5.3 text in two fragments', [part('fragment1'), last('fragment2')], ['text fragment1fragment2']],
  ['5.6 a ping between the fragments', [part('a'), ping('p'), last('b')], ['pong p', 'text ab']],
  ['5.9 a continuation without a start, FIN', [last('x'), text('y')], ['close 1002']],
  ['5.10 a continuation without a start', [more('x'), text('y')], ['close 1002']],
  ['5.12 a continuation behind a whole message', [text('a'), more('x'), last('y')], ['text a', 'close 1002']],
  ['5.15 a second start behind two fragments', [part('a'), last('b'), more('c')], ['text ab', 'close 1002']],
  ['5.18 a text within a text', [part('a'), text('b')], ['close 1002']],
  ['5.18 a binary within a text', [part('a'), binary('b')], ['close 1002']],
  ['5.19 five fragments and two pings', [part('1'), more('2'), ping('p'), more('3'), more('4'), ping('q'), last('5')], ['pong p', 'pong q', 'text 12345']],
  ['5.20 empty fragments', [part(''), more(''), last('')], ['text ']],
  ['5.21 a text whose middle alone is not empty', [part(''), more('middle'), last('')], ['text middle']],
  ['5.22 binary in fragments', [binary('a', { fin: false }), last('b')], ['binary 6162']],
  ['5.23 a close between fragments', [part('a'), close(1000), last('b')], ['close 1000']],
  // 6 UTF-8
  ...GOOD.map((s, i) => [`6.2 good text ${i}, whole`, [text(s)], [`text ${s}`]]),
  ...GOOD.map((s, i) => [`6.2 good text ${i}, in fragments of a byte`, (() => {
    const b = Buffer.from(s);
    return [part(b.subarray(0, 1)), ...[...b.subarray(1)].map((c) => more([c])), last('')];
  })(), [`text ${s}`]]),
  ...BAD.flatMap(([name, bytes]) => [
    [`6.3 ${name}`, [text(hex(bytes))], ['close 1007']],
    [`6.3 ${name}, behind good text`, [text(Buffer.concat([Buffer.from('κόσμε'), hex(bytes)]))], ['close 1007']],
    [`6.4 ${name}: told before the message's end`, [part('κόσμε'), more(hex(bytes))], ['close 1007']],
  ]),
  ['6.4 bad in the middle of a frame that never ends', [text(Buffer.concat([hex('ceba f4908080'), Buffer.alloc(60)])).subarray(0, 6 + 4)], ['close 1007']],
  ['6.5 cut off at the end', [text(hex('cebae1bd'))], ['close 1007']],
  ['6.5 cut off at the end of the last fragment', [part(hex('ceba')), last(hex('e1bd'))], ['close 1007']],
  ['6.6 no UTF-8 in a binary message', [binary(hex('edb080ff'))], ['binary edb080ff']],
  // 7 closing
  ['7.1 a close, then text', [close(1000), text('x')], ['close 1000']],
  ['7.1 a message, two closes', [text('a'), close(1000), close(1001)], ['text a', 'close 1000']],
  ['7.1 a close, then a ping', [close(1000), ping()], ['close 1000']],
  ['7.1 fragments, a close, the last fragment', [part('a'), close(1000), last('b')], ['close 1000']],
  ['7.1 256 KiB, a close', [text('B'.repeat(262144)), close(1000), ping()], [`text ${'B'.repeat(262144)}`, 'close 1000']],
  ['7.3 an empty close', [close()], ['close 1005']],
  ['7.3 a close of one byte', [frame(Buffer.from('a'), { opcode: CLOSE })], ['close 1002']],
  ['7.3 a code alone', [close(1000)], ['close 1000']],
  ['7.3 a code and a reason', [close(1000, 'Hello World!')], ['close 1000']],
  ['7.3 a reason of 123 bytes', [close(1000, '*'.repeat(123))], ['close 1000']],
  ['7.3 a reason of 124 bytes', [close(1000, '*'.repeat(124))], ['close 1002']],
  ['7.5 a reason that is no UTF-8', [frame(hex('03e8 cebae1bdb9cf83cebcceb5 eda080 656469746564'), { opcode: CLOSE })], ['close 1007']],
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map((c) => [`7.7 code ${c}`, [close(c)], [`close ${c}`]]),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((c) => [`7.9 code ${c}`, [close(c)], ['close 1002']]),
  ...[0, 1005, 1015].map((c) => [`7.9 code ${c} with a reason`, [close(c, 'Hello')], ['close 1002']]),
  // Masks and lengths
  ['8 an unmasked frame', [text('x', { mask: false })], ['close 1002']],
  ['8 126 for 5 bytes', [text('xxxxx', { lengthForm: 16 })], ['close 1002']],
  ['8 127 for 200 bytes', [text('x'.repeat(200), { lengthForm: 64 })], ['close 1002']],
  ['8 a length with its top bit', [text('', { length: 1n << 63n })], ['close 1002']],
  ['8 a length over the limit, no data', [text('', { length: 16777217 })], ['close 1009']],
  ['8 fragments over the limit together: told by the head', [part('x'), more('', { length: 16777216 })], ['close 1009']],
];

// Numbers as people write them: each in their own way, and never another number without a word.
import { describe, expect, it } from 'vitest';
import { accept } from '../src/boq/columns';
import { rowsOf } from '../src/boq/bulk';
import { marksOf, typed, untyped } from '../src/lib/decimal';

/** What a text means there. */
const table: [string, Record<'en' | 'de' | 'fr' | 'de-CH' | 'en-IN', string | null>][] = [
  ['1234.5', { en: '1234.5', de: '1234.5', fr: '1234.5', 'de-CH': '1234.5', 'en-IN': '1234.5' }],
  ['12,5', { en: '12.5', de: '12.5', fr: '12.5', 'de-CH': '12.5', 'en-IN': '12.5' }],
  ['0,125', { en: '0.125', de: '0.125', fr: '0.125', 'de-CH': '0.125', 'en-IN': '0.125' }],
  ['-0,125', { en: '-0.125', de: '-0.125', fr: '-0.125', 'de-CH': '-0.125', 'en-IN': '-0.125' }],
  // Two kinds of marks: the last one stands before the places.
  ['1.234,50', { en: '1234.5', de: '1234.5', fr: '1234.5', 'de-CH': '1234.5', 'en-IN': '1234.5' }],
  ['1,234.50', { en: '1234.5', de: '1234.5', fr: '1234.5', 'de-CH': '1234.5', 'en-IN': '1234.5' }],
  ['1,234,567', { en: '1234567', de: '1234567', fr: '1234567', 'de-CH': '1234567', 'en-IN': '1234567' }],
  ['12,34,567.8', { en: '1234567.8', de: '1234567.8', fr: '1234567.8', 'de-CH': '1234567.8', 'en-IN': '1234567.8' }],
  // One mark before three digits: the user's way decides; where it is none of theirs, they are asked.
  ['12,345', { en: '12345', de: '12.345', fr: '12.345', 'de-CH': null, 'en-IN': '12345' }],
  ['12.345', { en: '12.345', de: '12345', fr: null, 'de-CH': '12.345', 'en-IN': '12.345' }],
  ['1234,567', { en: '1234.567', de: '1234.567', fr: '1234.567', 'de-CH': '1234.567', 'en-IN': '1234.567' }],
  ["1'234.5", { en: '1234.5', de: '1234.5', fr: '1234.5', 'de-CH': '1234.5', 'en-IN': '1234.5' }],
  ['1\u202f234,5', { en: '1234.5', de: '1234.5', fr: '1234.5', 'de-CH': '1234.5', 'en-IN': '1234.5' }],
  ['1,2,3', { en: null, de: null, fr: null, 'de-CH': null, 'en-IN': null }],
  ['1,234.567,8', { en: null, de: null, fr: null, 'de-CH': null, 'en-IN': null }],
  ['.5', { en: '0.5', de: '0.5', fr: '0.5', 'de-CH': '0.5', 'en-IN': '0.5' }],
  ['12 m', { en: null, de: null, fr: null, 'de-CH': null, 'en-IN': null }],
  ['', { en: null, de: null, fr: null, 'de-CH': null, 'en-IN': null }],
];

describe('a typed number', () => {
  it.each(table)('%s', (text, expected) => {
    expect(Object.fromEntries(Object.keys(expected).map((locale) => [locale, typed(text, marksOf(locale))]))).toEqual(expected);
  });

  it.each(['en', 'de', 'fr', 'de-CH', 'en-IN', 'es', 'pl', 'sv'])('in %s is read again as it is shown, and as it is edited', (locale) => {
    const marks = marksOf(locale);
    for (const value of ['0.125', '12.345', '12345', '1234567.891', '-12.345', '-1234.5', '999']) {
      const shown = new Intl.NumberFormat(locale, { maximumFractionDigits: 12 }).format(value as `${number}`);
      expect([shown, typed(shown, marks)]).toEqual([shown, value]);
      expect(typed(untyped(value, marks), marks)).toBe(value);
    }
  });

  it('that can be read in two ways is told apart from what is no number', () => {
    expect(accept('qty', '12,345', marksOf('de-CH'))).toEqual({ error: '“12,345” can be read in two ways' });
    expect(accept('qty', 'lots', marksOf('de-CH'))).toEqual({ error: '“lots” is not a number' });
  });
});

describe('a number of a file', () => {
  it('has a comma before its places where a semicolon is between the cells, whoever reads it', () => {
    const lines = [{ code: '1', qty: '12,345', rate: '1.234,50' }];
    expect(rowsOf(lines, ';').rows).toEqual([{ code: '1', qty: '12.345', unit_price: '1234.5' }]);
    expect(rowsOf([{ code: '1', qty: '12.345', rate: '1,234.50' }], ',').rows).toEqual([{ code: '1', qty: '12.345', unit_price: '1234.5' }]);
  });
});

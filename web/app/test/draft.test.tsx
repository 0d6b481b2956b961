// @vitest-environment jsdom
// A field that others change, too: what is sent, and over what.
import { act, renderHook } from '@testing-library/react';
import { describe, expect, it, vi } from 'vitest';
import { useDraft } from '../src/parts/useDraft';

function field(first: string, badInput = false) {
  const send = vi.fn();
  const { result, rerender } = renderHook(({ value }) => useDraft(value, send), { initialProps: { value: first } });
  const element = (value: string) => ({ currentTarget: { value, validity: { badInput } } as HTMLInputElement });
  return {
    send,
    shows: () => result.current.value,
    others: (value: string) => rerender({ value }),
    types: (text: string) => act(() => result.current.onChange(element(text))),
    leaves: () => act(() => result.current.onBlur(element(result.current.value))),
  };
}

describe('a field that others change, too', () => {
  it('follows them while it is untouched, and sends nothing when it is left', () => {
    const title = field('Old');
    title.others('By Ben');
    expect(title.shows()).toBe('By Ben');
    title.leaves();
    expect(title.send).not.toHaveBeenCalled();
  });

  it('keeps what is typed, and says what it was typed over', () => {
    const title = field('Old');
    title.types('Mine');
    title.others('By Ben');
    expect(title.shows()).toBe('Mine');
    title.leaves();
    expect(title.send.mock.calls).toEqual([['Mine', 'Old']]);
    expect(title.shows()).toBe('By Ben');
  });

  it('typed and taken back is nothing; a year that is typed is sent once, half a date not at all', () => {
    const title = field('Old');
    title.types('Oldx');
    title.types('Old');
    title.leaves();
    expect(title.send).not.toHaveBeenCalled();
    const due = field('');
    for (const year of ['0002', '0020', '0202', '2026']) due.types(`${year}-12-01`);
    expect(due.send).not.toHaveBeenCalled();
    due.leaves();
    expect(due.send.mock.calls).toEqual([['2026-12-01', '']]);
    const half = field('2026-12-01', true);
    half.types('');
    half.leaves();
    expect(half.send).not.toHaveBeenCalled();
  });
});

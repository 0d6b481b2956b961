// CellTrouble.tsx -- an edit that did not go through, beside its cell: both values, and the choice.
// One is open at a time; the cells of the others are marked.
import { Button, Group, Popover, Stack, Text, TextInput } from '@mantine/core';
import { type KeyboardEvent, useState } from 'react';
import { shown } from '../lib/decimal';
import { isNumber } from '../lib/outbox';
import type { People } from '../lib/people';
import { accept, titleOf } from './columns';
import type { Boq, Trouble } from './boq';

interface Props {
  trouble: Trouble;
  people: People;
  onSettle: Boq['settle'];
  /** Back to the table. */
  onLeave(): void;
}

/** Into the one that is open, with the keyboard. */
export const enterTrouble = () => document.querySelector<HTMLElement>('.trouble-ask button')?.focus();

export function CellTrouble({ trouble, people, onSettle, onLeave }: Props) {
  const { field, mine, theirs } = trouble;
  const [third, setThird] = useState('');
  const text = (value: string | null) => (isNumber(field) ? shown(value, field === 'unit_price' ? 2 : 0) : value) || '(empty)';
  const other = third.trim() ? accept(field, third) : null;
  const settle: Boq['settle'] = (what, value) => {
    onLeave(); // first: what has the focus goes
    onSettle(what, value);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    e.stopPropagation();
    if (e.key === 'Escape') onLeave();
  };
  return (
    <Popover opened withArrow shadow="md" position="bottom-end" withinPortal trapFocus={false}>
      <Popover.Target>
        <span className="trouble-mark" aria-hidden="true" />
      </Popover.Target>
      <Popover.Dropdown className="no-pick trouble-ask" role="alertdialog" aria-label="Your change was not saved. Enter or F2 to decide." onKeyDown={onKeyDown} onPointerDown={(e) => e.stopPropagation()} onDoubleClick={(e) => e.stopPropagation()}>
        {theirs ? (
          <Stack gap="xs" miw={270} maw={340}>
            <Text size="sm" fw={600}>
              {people.nameOf(theirs.updated_by)} changed this, too
            </Text>
            <Text size="xs" c="dimmed">
              {titleOf(field)} of {theirs.code}
            </Text>
            <Group gap="xs" grow>
              <Button size="xs" variant="default" style={{ borderColor: people.colourOf(theirs.updated_by) }} onClick={() => settle(trouble, null)}>
                Theirs: {text(theirs[field])}
              </Button>
              <Button size="xs" onClick={() => settle(trouble, mine)}>
                Mine: {text(mine)}
              </Button>
            </Group>
            <TextInput size="xs" placeholder="or another value, then Enter" aria-label="Another value" value={third} onChange={(e) => setThird(e.currentTarget.value)}
              error={other && 'error' in other ? other.error : null}
              onKeyDown={(e) => e.key === 'Enter' && other && 'value' in other && settle(trouble, other.value)} />
          </Stack>
        ) : (
          <Group gap="xs" wrap="nowrap" maw={320}>
            <Text size="sm">
              {text(mine)} was not saved: {trouble.message}
            </Text>
            <Button size="xs" variant="default" onClick={() => settle(trouble, null)}>
              OK
            </Button>
          </Group>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

// CellTrouble.tsx -- an edit that did not go through, beside its cell: both values, and the choice.
import { Button, Group, Popover, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { shown } from '../lib/decimal';
import { isNumber } from '../lib/outbox';
import type { People } from '../lib/people';
import { accept, titleOf } from './columns';
import type { Boq, Trouble } from './boq';

export function CellTrouble({ trouble, people, onSettle }: { trouble: Trouble; people: People; onSettle: Boq['settle'] }) {
  const { field, mine, theirs } = trouble;
  const [third, setThird] = useState('');
  const text = (value: string | null) => (isNumber(field) ? shown(value, field === 'unit_price' ? 2 : 0) : value) || '(empty)';
  const other = third.trim() ? accept(field, third) : null;
  return (
    <Popover opened withArrow shadow="md" position="bottom-end" withinPortal trapFocus={false}>
      <Popover.Target>
        <span className="trouble-mark" aria-hidden="true" />
      </Popover.Target>
      <Popover.Dropdown className="no-pick" role="alertdialog" aria-label="Your change was not saved" onKeyDown={(e) => e.stopPropagation()} onPointerDown={(e) => e.stopPropagation()} onDoubleClick={(e) => e.stopPropagation()}>
        {theirs ? (
          <Stack gap="xs" miw={270} maw={340}>
            <Text size="sm" fw={600}>
              {people.nameOf(theirs.updated_by)} changed this, too
            </Text>
            <Text size="xs" c="dimmed">
              {titleOf(field)} of {theirs.code}
            </Text>
            <Group gap="xs" grow>
              <Button size="xs" variant="default" style={{ borderColor: people.colourOf(theirs.updated_by) }} onClick={() => onSettle(trouble, null)}>
                Theirs: {text(theirs[field])}
              </Button>
              <Button size="xs" onClick={() => onSettle(trouble, mine)}>
                Mine: {text(mine)}
              </Button>
            </Group>
            <TextInput size="xs" placeholder="or another value, then Enter" aria-label="Another value" value={third} onChange={(e) => setThird(e.currentTarget.value)}
              error={other && 'error' in other ? other.error : null}
              onKeyDown={(e) => e.key === 'Enter' && other && 'value' in other && onSettle(trouble, other.value)} />
          </Stack>
        ) : (
          <Group gap="xs" wrap="nowrap" maw={320}>
            <Text size="sm">
              {text(mine)} was not saved: {trouble.message}
            </Text>
            <Button size="xs" variant="default" onClick={() => onSettle(trouble, null)}>
              OK
            </Button>
          </Group>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

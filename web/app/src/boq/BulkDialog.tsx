// BulkDialog.tsx -- one dialog for long work: what to do, how far it is, what came of it.
import { Button, Group, Modal, NumberInput, Progress as Bar, ScrollArea, SegmentedControl, Stack, Table, Text } from '@mantine/core';
import { useRef, useState } from 'react';
import type { Item } from '../lib/api';
import { byPercent, shown } from '../lib/decimal';
import { useRequest } from '../lib/useRequest';
import { changeByPercent, csvOf, download, importRows, type Progress, readCsv } from './bulk';

export type Work = { kind: 'percent'; items: readonly Item[] } | { kind: 'import'; file: File; items: readonly Item[] };

interface Props {
  projectId: string;
  work: Work;
  onClose(): void;
}

export function BulkDialog({ projectId, work, onClose }: Props) {
  const request = useRequest();
  const [field, setField] = useState<'unit_price' | 'qty'>('unit_price');
  const [percent, setPercent] = useState<string | number>('');
  const [progress, setProgress] = useState<Progress | null>(null);
  const [state, setState] = useState<'ask' | 'busy' | 'done' | 'stopped'>('ask');
  const [error, setError] = useState('');
  const stop = useRef(new AbortController());
  const value = /^-?\d+(\.\d+)?$/.test(String(percent)) ? String(percent) : null;
  const example = work.kind === 'percent' ? work.items.find((i) => i[field]) : undefined;

  const run = async () => {
    setState('busy');
    setError('');
    try {
      const { signal } = stop.current;
      let end: Progress;
      if (work.kind === 'percent') end = await changeByPercent(request, projectId, work.items, field, value!, setProgress, signal);
      else {
        const { rows, skipped } = await readCsv(work.file);
        end = await importRows(request, projectId, work.items, rows, skipped, setProgress, signal);
      }
      setProgress(end);
      setState(signal.aborted ? 'stopped' : 'done');
    } catch (cause) {
      setError((cause as Error).message);
      setState('stopped');
    }
  };

  return (
    <Modal opened onClose={onClose} centered closeOnClickOutside={state !== 'busy'} closeOnEscape={state !== 'busy'} withCloseButton={state !== 'busy'} title={work.kind === 'percent' ? `Change ${work.items.length} items` : `Import ${work.file.name}`}>
      <Stack>
        {state === 'ask' && work.kind === 'percent' && (
          <>
            <SegmentedControl aria-label="What to change" value={field} onChange={(v) => setField(v as typeof field)} data={[{ value: 'unit_price', label: 'Unit price' }, { value: 'qty', label: 'Quantity' }]} />
            <NumberInput data-autofocus label="Change by" suffix=" %" placeholder="+5 or -2.5" value={percent} onChange={setPercent} decimalScale={6} allowedDecimalSeparators={['.', ',']} onKeyDown={(e) => e.key === 'Enter' && value && void run()} />
            <Text size="sm" c="dimmed">
              {value && example ? `${example.code}: ${shown(example[field], 2)} becomes ${shown(byPercent(example[field]!, value, field === 'qty' ? 3 : 2), 2)}. ` : ''}
              {field === 'qty' ? 'Rounded to three places.' : 'Rounded to cents.'}
            </Text>
          </>
        )}
        {state === 'ask' && work.kind === 'import' && <Text size="sm">Columns: section, code, description, unit, qty, unit_price. Items whose code is known are changed, others are made.</Text>}
        {state !== 'ask' && progress && (
          <>
            <Bar value={progress.total ? (100 * progress.done) / progress.total : 100} aria-label="Progress" />
            <Text size="sm" role="status">
              {progress.done} of {progress.total}: {progress.updated} changed, {progress.created} made, {progress.skipped.length} skipped
              {state === 'stopped' ? '. Stopped.' : progress.isWaiting ? '. The server cannot be reached: trying again.' : ''}
            </Text>
          </>
        )}
        {error && (
          <Text size="sm" c="var(--bad)" role="alert">
            {error}
          </Text>
        )}
        {(state === 'done' || state === 'stopped') && progress && progress.skipped.length > 0 && (
          <ScrollArea.Autosize mah={220} tabIndex={0}>
            <Table fz="xs" stickyHeader>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Skipped</Table.Th>
                  <Table.Th>Why</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {progress.skipped.map((s, i) => (
                  <Table.Tr key={i}>
                    <Table.Td>
                      {s.code} {s.what}
                    </Table.Td>
                    <Table.Td>{s.why}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </ScrollArea.Autosize>
        )}
        <Group justify="flex-end">
          {state === 'ask' && (
            <Button onClick={() => void run()} disabled={work.kind === 'percent' && !value}>
              {work.kind === 'percent' ? 'Change' : 'Import'}
            </Button>
          )}
          {state === 'busy' && (
            <Button variant="default" onClick={() => stop.current.abort()}>
              Stop
            </Button>
          )}
          {(state === 'done' || state === 'stopped') && (
            <>
              {progress && progress.skipped.length > 0 && (
                <Button variant="default" onClick={async () => download('skipped.csv', await csvOf(progress.skipped))}>
                  Skipped as CSV
                </Button>
              )}
              <Button onClick={onClose}>Done</Button>
            </>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

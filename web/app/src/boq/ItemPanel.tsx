// ItemPanel.tsx -- what there is to say about one item: it slides over the table, on a phone as a sheet.
import { Drawer, Group, Tabs, Text, TextInput } from '@mantine/core';
import { useOthers } from '@skybuild/realtime-react';
import { useState } from 'react';
import { canEdit, type Item } from '../lib/api';
import { namesInShort, when } from '../lib/people';
import type { Presence } from '../lib/presence';
import { Comments } from '../parts/Comments';
import { useDraft } from '../parts/useDraft';
import { useWorkspace } from '../parts/workspace';
import { accept, editable, titleOf } from './columns';
import { ItemHistory } from './ItemHistory';
import { useRow } from './useBoq';

export function ItemPanel({ id, isPhone, onClose }: { id: string; isPhone: boolean; onClose(): void }) {
  const { people, boq } = useWorkspace();
  const item = useRow(boq, id)?.item;
  const here = useOthers<Presence, string[]>((others) => others.filter((o) => o.presence?.cell?.item === id).map((o) => o.name));
  if (!item) return null;
  return (
    <Drawer opened onClose={onClose} position={isPhone ? 'bottom' : 'right'} size={isPhone ? '75%' : 'md'} title={`${item.code} ${item.description}`}>
      <Text size="xs" c="dimmed" mb="sm">
        Version {item.version}, last changed by {people.nameOf(item.updated_by)} {when(item.updated_at)}
        {here.length > 0 && `. ${namesInShort(here)} ${here.length > 1 ? 'are' : 'is'} here now`}
      </Text>
      {isPhone && (
        <Group grow mb="sm" align="flex-start">
          <ItemField item={item} field="qty" />
          <ItemField item={item} field="unit_price" />
        </Group>
      )}
      <Tabs defaultValue="comments" keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="comments">Comments</Tabs.Tab>
          <Tabs.Tab value="history">History</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="comments">
          <Comments target={{ item_id: id }} />
        </Tabs.Panel>
        <Tabs.Panel value="history">
          <ItemHistory id={id} />
        </Tabs.Panel>
      </Tabs>
    </Drawer>
  );
}

/** What has no column on a phone, by the rules of its cell. */
function ItemField({ item, field }: { item: Item; field: 'qty' | 'unit_price' }) {
  const { boq, project } = useWorkspace();
  const [error, setError] = useState<string | null>(null);
  const draft = useDraft(editable(item, field), (text, base) => {
    const got = accept(field, text);
    setError('error' in got ? got.error : null);
    if ('value' in got) boq.edit(item, field, got.value, base);
  });
  return <TextInput label={titleOf(field)} inputMode="decimal" readOnly={!canEdit(project.role)} error={error} {...draft} />;
}

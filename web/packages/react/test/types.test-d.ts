// The types as a user of the package sees them.
import { describe, expectTypeOf, it } from 'vitest';
import type { Emit, ItemUpdated, Member, NotificationData, RealtimeProviderProps, Status } from '@skybuild/realtime-react';
import { useEmit, useEvent, useMembers, useMyPresence, useOptimistic, useOthers, useSelf, useStatus, useTyping } from '@skybuild/realtime-react';

describe('types', () => {
  it('useEvent knows each event’s payload by its name', () => {
    useEvent('boq:item:updated', (data, meta) => {
      expectTypeOf(data).toEqualTypeOf<ItemUpdated>();
      expectTypeOf(data.updates.qty).toEqualTypeOf<number | undefined>();
      expectTypeOf(meta.missed).toEqualTypeOf<boolean>();
    });
    useEvent('notification:new', (data) => expectTypeOf(data).toEqualTypeOf<NotificationData>());
    useEvent('an:event:of:a:back:end', (data) => expectTypeOf(data).toEqualTypeOf<unknown>());
    // @ts-expect-error there is no such member
    useEvent('task:updated', (data) => data.item);
  });

  it('useEmit knows what each event takes and what its answer is', () => {
    const emit = useEmit();
    expectTypeOf(emit).toEqualTypeOf<Emit>();
    expectTypeOf(emit('join_project', { project_id: 'p' })).resolves.toHaveProperty('seq').toEqualTypeOf<number>();
    expectTypeOf(emit('presence:list', { project_id: 'p' })).resolves.toHaveProperty('users');
    // @ts-expect-error project_id is missing
    void emit('join_project', {});
    // @ts-expect-error there is no such event
    void emit('no_such_event', {});
  });

  it('presence has the type one says', () => {
    type P = { cell: string | null; idle: boolean };
    const [mine, update] = useMyPresence<P>();
    expectTypeOf(mine).toEqualTypeOf<P | null>();
    update({ idle: true });
    // @ts-expect-error no such member
    update({ cel: 'x' });
    expectTypeOf(useMembers<P>().others).toEqualTypeOf<readonly Member<P>[]>();
    expectTypeOf(useOthers<P, number>((others) => others.length)).toEqualTypeOf<number>();
    expectTypeOf(useSelf<P>()).toEqualTypeOf<Member<P> | null>();
    expectTypeOf(useSelf<P, boolean | undefined>((self) => self.presence?.idle)).toEqualTypeOf<boolean | undefined | null>();
    expectTypeOf(useTyping('x').typing).toEqualTypeOf<readonly Member[]>();
  });

  it('rows keep their type', () => {
    type Row = { id: string; qty: string; version: number };
    const rows = useOptimistic<Row>([], { keyOf: (r) => r.id, versionOf: (r) => r.version });
    expectTypeOf(rows.rows).toEqualTypeOf<readonly Row[]>();
    // @ts-expect-error qty is text
    void rows.change(rows.rows[0]!, { qty: 5 }, async (newest) => newest);
  });

  it('status and props', () => {
    expectTypeOf(useStatus()).toEqualTypeOf<Status>();
    expectTypeOf<RealtimeProviderProps>().toHaveProperty('getToken');
    // @ts-expect-error a token is text
    const props: RealtimeProviderProps = { url: '', getToken: () => 5 };
    void props;
  });
});

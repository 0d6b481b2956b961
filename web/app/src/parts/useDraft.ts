// useDraft.ts -- a field of something that others change, too: what is typed is kept apart until the
// field is left, and knows what it was typed over.  Untouched, the field shows what there is now.
import { type FocusEvent, type KeyboardEvent, useState } from 'react';

type Field = HTMLInputElement | HTMLTextAreaElement;

export interface DraftProps {
  value: string;
  onChange(e: { currentTarget: Field }): void;
  onBlur(e: Pick<FocusEvent<Field>, 'currentTarget'>): void;
  onKeyDown(e: Pick<KeyboardEvent<Field>, 'key' | 'currentTarget'>): void;
}

/** `send`: what was typed, and what stood there when the typing began.  Only if the two differ. */
export function useDraft(value: string, send: (text: string, base: string) => void): DraftProps {
  const [draft, setDraft] = useState<{ text: string; base: string } | null>(null);
  return {
    value: draft?.text ?? value,
    onChange: ({ currentTarget: { value: text } }) => setDraft((old) => ({ text, base: old?.base ?? value })),
    onBlur: ({ currentTarget }) => {
      setDraft(null);
      // A date of which half is typed has no value, which does not mean none.
      if (draft && draft.text !== draft.base && !currentTarget.validity.badInput) send(draft.text, draft.base);
    },
    onKeyDown: (e) => {
      if (e.key === 'Enter' && e.currentTarget.tagName === 'INPUT') e.currentTarget.blur();
    },
  };
}

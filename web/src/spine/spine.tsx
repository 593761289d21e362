import { Suspense } from 'react';
import { useCanBeRead } from '../chat.tsx';
import { lazily } from '../failing/failing.tsx';

const Timeline = lazily(undefined, async () => (await import('./timeline.tsx')).Timeline);

/** The years at the edge of the page. Comes once the conversation is there to be read. */
export function Spine() {
  if (!useCanBeRead()) return null;
  return (
    <Suspense fallback={null}>
      <Timeline />
    </Suspense>
  );
}

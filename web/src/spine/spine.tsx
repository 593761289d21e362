import { lazy, Suspense } from 'react';
import { useCanBeRead } from '../chat.tsx';

const Timeline = lazy(() =>
  import('./timeline.tsx').then(({ Timeline }) => ({ default: Timeline })),
);

/** The years at the edge of the page. Comes once the conversation is there to be read. */
export function Spine() {
  if (!useCanBeRead()) return null;
  return (
    <Suspense fallback={null}>
      <Timeline />
    </Suspense>
  );
}
